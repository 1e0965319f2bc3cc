"""One run on several processes, by gloo on this machine."""
