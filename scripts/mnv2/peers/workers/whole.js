// As whole.py, with ONNX Runtime's Node.js package; sharp, the fastest decoder that npm has, reads the photo.
//   NODE_PATH=.../node_modules node whole.js ONNX PHOTO RESIZE CROP MEAN STD THREADS
'use strict';

const ort = require('onnxruntime-node');
const sharp = require('sharp');

async function main(onnx, photo, resize, crop, mean, std, threads) {
  sharp.concurrency(1);  // one photo has nothing to share out
  const [session, decoded] = await Promise.all([
    ort.InferenceSession.create(onnx, {intraOpNumThreads: threads}),
    sharp(photo).removeAlpha().toColourspace('srgb').resize(resize, resize, {fit: 'outside', kernel: 'linear'})
        .raw().toBuffer({resolveWithObject: true}),
  ]);
  const {data, info} = decoded;
  const left = (info.width - crop) >> 1;
  const top = (info.height - crop) >> 1;
  const image = new Float32Array(3 * crop * crop);
  for (let channel = 0; channel < 3; ++channel) {
    for (let y = 0; y < crop; ++y) {
      for (let x = 0; x < crop; ++x) {
        const value = data[((top + y) * info.width + left + x) * info.channels + channel] / 255;
        image[(channel * crop + y) * crop + x] = (value - mean[channel]) / std[channel];
      }
    }
  }
  const input = new ort.Tensor('float32', image, [1, 3, crop, crop]);
  const logits = (await session.run({[session.inputNames[0]]: input}))[session.outputNames[0]].data;
  console.log(JSON.stringify({top: [{index: logits.indexOf(Math.max(...logits))}]}));
}

const [onnx, photo, resize, crop, mean, std, threads] = process.argv.slice(2);
main(onnx, photo, Number(resize), Number(crop), mean.split(',').map(Number), std.split(',').map(Number),
     Number(threads));
