"""Train a classifier privately on a CSV, save it, and ask it.

    python examples/classify_csv.py reviews.csv

The CSV has the columns ``text`` and ``label``; a tenth of its rows is held out. Any folder that transformers loads may
stand in the place of the packaged MiniLM.
"""

import sys

from transformers import pipeline

import lmodp
from lmodp.reporting.formats import at_most


def main(file, *, model="minilm_roberta", folder="my_classifier", **arguments):
    """Train, say what was spent, save, and classify one sentence."""
    chosen = {"epsilon": 3, "delta": 1e-5, "trainable": {"last_layers": 2}, "max_length": 64, **arguments}
    found = lmodp.finetune(model, file, text="text", label="label", **chosen)

    # The statement of privacy: the upper end of the verified interval, for the whole run.
    verified = found.certificate["verified"]
    print(f"spent: epsilon at most {at_most(verified['upper'])} at delta {chosen['delta']:g}")

    # The scores depend on the held-out rows, and no certificate covers them: they are for you, not for publication.
    print(f"accuracy on the held-out rows: {found.scores['accuracy']:.3f}")

    # A folder for from_pretrained, with tokenizer, label names, and a model card whose numbers are the certificate's.
    found.save(folder)
    answer = pipeline("text-classification", model=str(folder))("the film shines")[0]
    print(f"'the film shines' is {answer['label']}, score {answer['score']:.2f}; the model is in {folder}")
    return found


if __name__ == "__main__":
    main(sys.argv[1])
