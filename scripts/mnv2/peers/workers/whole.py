"""One photo through another engine and nothing else, as a short script of one's own would do it: for the cold start
section of compare_peers.py. Prints the best class as JSON.

  whole.py pytorch CHECKPOINT PHOTO RESIZE CROP MEAN STD THREADS
  whole.py onnxruntime|opencv ONNX PHOTO RESIZE CROP MEAN STD THREADS      MEAN and STD: three numbers, a,b,c

Each imports what it needs and no more: imports are most of a cold start.
"""

import json
import sys


def read_with_opencv(photo, resize, crop, mean, std):
    """[1, 3, crop, crop] float32, normalised."""
    import cv2
    import numpy as np

    image = cv2.imread(photo, cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    scale = resize / min(height, width)
    image = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    top, left = (image.shape[0] - crop) // 2, (image.shape[1] - crop) // 2
    rgb = image[top:top + crop, left:left + crop, ::-1].astype(np.float32) / 255
    planes = ((rgb - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)
    return np.ascontiguousarray(planes[None], dtype=np.float32)


def run_pytorch(network, photo, resize, crop, mean, std, threads):
    import torch
    from PIL import Image
    from torchvision import models, transforms

    torch.set_num_threads(threads)
    state = torch.load(network, map_location="cpu", weights_only=True)
    model = models.mobilenet_v2(num_classes=len(state["classifier.1.bias"]))
    model.load_state_dict(state)
    prepare = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(crop), transforms.ToTensor(),
                                  transforms.Normalize(mean, std)])
    with torch.inference_mode(), Image.open(photo) as image:
        return model.eval()(prepare(image.convert("RGB"))[None])[0].tolist()


def run_onnxruntime(network, photo, resize, crop, mean, std, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    image = read_with_opencv(photo, resize, crop, mean, std)
    return session.run(None, {session.get_inputs()[0].name: image})[0][0].tolist()


def run_opencv(network, photo, resize, crop, mean, std, threads):
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(network)
    net.setInput(read_with_opencv(photo, resize, crop, mean, std))
    return net.forward()[0].tolist()


def main():
    engine, network, photo, resize, crop, mean, std, threads = sys.argv[1:]
    run = {"pytorch": run_pytorch, "onnxruntime": run_onnxruntime, "opencv": run_opencv}[engine]
    mean, std = ([float(part) for part in text.split(",")] for text in (mean, std))
    logits = run(network, photo, int(resize), int(crop), mean, std, int(threads))
    print(json.dumps({"top": [{"index": max(range(len(logits)), key=logits.__getitem__)}]}))


main()
