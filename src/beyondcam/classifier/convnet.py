"""The study's classifier: five convolutions with F×F kernels (arXiv 2308.11052, MNIST experiments)."""

from torch import nn

WIDTHS = (16, 32, 48, 48, 64)


def convnet(kernel: int, *, pool: bool = True) -> nn.Sequential:
    """Five F×F convolutions, each with batch norm and ReLU: (B,3,H,W) → (B,64,h,w).

    The contribution window is 1 + 5·(F - 1) pixels without `pool`. `pool` halves the size after the first and
    the third layer, which widens the window and makes the network an order of magnitude cheaper.
    """
    layers: list[nn.Module] = []
    channels = 3
    for depth, width in enumerate(WIDTHS):
        layers += [
            nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        if pool and depth in (0, 2):
            layers.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(*layers)
