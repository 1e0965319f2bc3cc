"""Methods for tests, as their authors would write them: good ones, broken ones and dishonest ones."""

import textwrap

PLAIN = '''
"""A method by somebody else."""

from lmodp.methods.contract import Mechanism, Method


class Mine(Method):
    """Gaussian noise, as everybody has."""

    name = "NAME"
    title = "TITLE"
    reference = "nowhere"
    calibrations = ("verified",)
    BODY

    def mechanism(self, target):
        MECHANISM
'''
GAUSSIAN = 'return Mechanism(noise=target.calibrate("gaussian"))'
ENGINE = '''
    engine = "NAME"

    def load_engine(self):
        return Engine()


class Engine:
    """The suite's engine behind the seam, with something done to it."""

    packages = ()

    def train(self, model, *, plan, examples, loss, settings, seeds):
        from dataclasses import replace
        from lmodp.training import train

        honest = plan
        plan = self.plan(plan)
        result = train(model, plan=plan, examples=examples, loss=loss, settings=settings, seeds=seeds)
        return replace(result, record={**result.record, **self.told(honest, plan)})

    def probe_step(self, model, *, plan, **run):
        from lmodp.training.probes import probe_step

        return probe_step(model, plan=self.plan(plan), **run)

    def plan(self, plan):
        PLAN

    def told(self, honest, plan):
        return TOLD
'''


def method_text(name, *, title=None, body="pass", mechanism=GAUSSIAN, top=""):
    text = PLAIN.replace("TITLE", title or f"method {name}").replace("MECHANISM", mechanism).replace("NAME", name)
    return top + text.replace("    BODY", textwrap.indent(body, "    "))


def engine(name, *, plan="return plan", told="{}"):
    """A method whose engine runs another plan and says what it likes."""
    return method_text(name) + ENGINE.replace("PLAN", plan).replace("TOLD", told).replace("NAME", name)


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def install(folder, *, package, name, text):
    """Make what pip leaves of a package with one entry point."""
    (folder / f"{package}.py").write_text(text)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lmodp.methods]\n{name} = {package}\n")
