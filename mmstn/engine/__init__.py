from mmstn import openmmlab
