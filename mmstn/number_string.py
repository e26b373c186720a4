"""Numbers as labels of their places and as text."""

from collections.abc import Sequence

from torch import Tensor

NULL = 10  # the class 'no digit here'


def number_string(labels: Sequence[int] | Tensor, null: int = NULL) -> str:
    """The number as text, such as ``'1937'``.

    Args:
        labels: The classes of its places from left to right.
        null: The class that means 'no digit here'.

    Returns:
        Its digits. Empty places after the last digit are left out, an empty one between digits is
        ``_``, so that two numbers are written alike only if all of their places agree.

    Example:
        >>> number_string([1, 9, 3, 7, 10]), number_string([1, 10, 3, 10, 10])
        ('1937', '1_3')
    """
    labels = labels.tolist() if isinstance(labels, Tensor) else list(labels)
    return ''.join('_' if label == null else str(label) for label in labels).rstrip('_')
