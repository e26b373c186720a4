"""What every package of mmstn that needs OpenMMLab imports first: it says what to install."""

from .dependencies import check_dependencies

check_dependencies()
