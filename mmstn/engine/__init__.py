from mmstn import openmmlab  # noqa: F401
