"""Runs train.py on the workers of a Ray cluster, one GPU each. The folder must lie where all machines see it.

    python ray_train.py 16
"""

import os
import sys

from ray.train import ScalingConfig
from ray.train.torch import TorchTrainer

FOLDER = os.path.dirname(os.path.abspath(__file__))


def work(config):
    sys.path.insert(0, config["folder"])
    import train

    train.main()


if __name__ == "__main__":
    scaling = ScalingConfig(num_workers=int(sys.argv[1]), use_gpu=True)
    TorchTrainer(work, train_loop_config={"folder": FOLDER}, scaling_config=scaling).fit()
