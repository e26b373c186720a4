"""The checks that all metrics share."""

from mmengine.evaluator import BaseMetric

from mmstn.checks import instance_of, one_of


class CheckedMetric(BaseMetric):
    """mmengine's ``BaseMetric`` with its options checked at once, not at the end of a validation.

    Args:
        collect_device: ``'cpu'`` or ``'gpu'``, where results of several processes are gathered.
        prefix: What stands before the names, with a slash; None for the class's own.

    Raises:
        TypeError: If ``prefix`` is neither text nor None.
        ValueError: If ``collect_device`` is unknown.
    """

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        one_of('collect_device', collect_device, ('cpu', 'gpu'))
        instance_of('prefix', prefix, (str, type(None)), 'a string or None')
        super().__init__(collect_device, prefix)
