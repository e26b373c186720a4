import pytest

from mmstn.ops import _ext


@pytest.fixture(params=['avx512', 'avx2', 'portable'])
def cpu_path(request):
    """Each set of kernels that this CPU can run, one after the other."""
    if _ext.MODULE is None:
        pytest.skip(_ext.WHY_MISSING)
    try:
        _ext.MODULE.set_cpu_path(request.param)
    except ValueError as error:
        pytest.skip(str(error))
    yield request.param
    _ext.MODULE.set_cpu_path('auto')
