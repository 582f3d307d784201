"""The loader that `make bench-loader` compares with: a PyTorch DataLoader with the published transform.

Decodes with PIL as the published data set does, takes torchvision's RandomResizedCrop and flip, does RandAugment's ten
operations with OpenCV, and makes normalised float tensors [64, 3, 256, 256]. Captions are left out, which favours this
side. Prints one JSON line: images per second, and per second of computing.

    loader_reference.py FOLDER [--steps 14] [--workers 0] [--batch 64]
"""

import argparse
import json
import pathlib
import random
import time

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms
from torchvision.transforms import InterpolationMode

SIDE = 256
WARM_UP = 2
FILL = (128, 128, 128)
LEVEL = 7 / 10
KERNEL = np.full((3, 3), 1 / 13, np.float32)
KERNEL[1, 1] = 5 / 13


def by_channel(image, table_of):
    """Looks each channel up in a table that follows from its histogram."""
    tables = [table_of(cv2.calcHist([image], [c], None, [256], [0, 256]).ravel()) for c in range(3)]
    return cv2.LUT(image, np.stack(tables, axis=-1)[:, None, :])


def stretched(histogram):
    used = np.flatnonzero(histogram)
    low, high = used[0], used[-1]
    if high <= low:
        return np.arange(256, dtype=np.uint8)
    scale = 255 / (high - low)
    return np.clip(np.arange(256) * scale - low * scale, 0, 255).astype(np.uint8)


def equalised(histogram):
    used = histogram[histogram > 0]
    step = int(used[:-1].sum()) // 255
    if step == 0:
        return np.arange(256, dtype=np.uint8)
    below = step // 2 + np.concatenate(([0], np.cumsum(histogram[:-1])))
    return np.minimum(below // step, 255).astype(np.uint8)


def brightened(image, factor):
    return cv2.LUT(image, np.clip(np.arange(256) * np.float32(factor), 0, 255).astype(np.uint8))


def sharpened(image, factor):
    smooth = cv2.filter2D(image, -1, KERNEL)
    out = cv2.addWeighted(image, factor, smooth, 1 - factor, 0)
    out[[0, -1]], out[:, [0, -1]] = image[[0, -1]], image[:, [0, -1]]
    return out


def warped(image, matrix):
    size = (image.shape[1], image.shape[0])
    return cv2.warpAffine(image, np.float32(matrix), size, borderValue=FILL, flags=cv2.INTER_LINEAR)


def either(size):
    return size if random.random() < 0.5 else -size


def rotated(image, degrees):
    centre = (image.shape[1] / 2, image.shape[0] / 2)
    return warped(image, cv2.getRotationMatrix2D(centre, degrees, 1))


FACTOR = LEVEL * 1.8 + 0.1
OPERATIONS = [
    lambda image: image,
    lambda image: by_channel(image, stretched),
    lambda image: by_channel(image, equalised),
    lambda image: brightened(image, FACTOR),
    lambda image: sharpened(image, FACTOR),
    lambda image: warped(image, [[1, either(LEVEL * 0.3), 0], [0, 1, 0]]),
    lambda image: warped(image, [[1, 0, 0], [either(LEVEL * 0.3), 1, 0]]),
    lambda image: warped(image, [[1, 0, either(LEVEL * 10)], [0, 1, 0]]),
    lambda image: warped(image, [[1, 0, 0], [0, 1, either(LEVEL * 10)]]),
    lambda image: rotated(image, either(LEVEL * 30)),
]


def rand_augment(image):
    image = np.array(image)
    for operation in random.choices(OPERATIONS, k=2):
        if random.random() < 0.5:
            image = operation(image)
    return image


TRANSFORM = transforms.Compose(
    [
        transforms.RandomResizedCrop(SIDE, scale=(0.2, 1.0), interpolation=InterpolationMode.BICUBIC),
        transforms.RandomHorizontalFlip(),
        rand_augment,
        transforms.ToTensor(),
        transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ]
)


class Photos(Dataset):
    def __init__(self, folder):
        self.paths = sorted(pathlib.Path(folder).glob("*.jpg"))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return TRANSFORM(Image.open(self.paths[index]).convert("RGB"))


def main():
    parser = argparse.ArgumentParser(description="time a PyTorch DataLoader with the published transform")
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--workers", type=int, default=0, help="0 loads in this process")
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    photos = Photos(options.folder)
    if not photos.paths:
        parser.error(f"{options.folder}: no *.jpg in it")
    # Without replacement, one epoch after another.
    sampler = RandomSampler(photos, num_samples=options.batch * (options.steps + WARM_UP))
    batches = iter(DataLoader(photos, options.batch, sampler=sampler, num_workers=options.workers))
    for _ in range(WARM_UP):
        next(batches)
    start, computed, images = time.perf_counter(), time.process_time(), 0
    for batch in batches:
        assert batch.shape[1:] == (3, SIDE, SIDE) and batch.dtype == torch.float32
        images += len(batch)
    seconds, computed = time.perf_counter() - start, time.process_time() - computed
    # What other processes compute is not known.
    per_cpu = images / computed if options.workers == 0 else None
    print(json.dumps({"samples": images, "images_per_s": images / seconds, "images_per_cpu_s": per_cpu}))


if __name__ == "__main__":
    main()
