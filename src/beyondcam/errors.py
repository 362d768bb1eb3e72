"""The one error this package raises at people: a single line that names the file or field and what to do."""


class BeyondcamError(Exception):
    """Unusable arguments, data or files. The message is one line, meant to be read by a person."""


class MissingWeightsError(BeyondcamError):
    """Pretrained weights that are neither installed nor to be downloaded."""
