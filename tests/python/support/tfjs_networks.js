// Makes random MobileNets with TensorFlow.js itself, saves them as it does, and says what it computes for two images.
//   NODE_PATH=.../node_modules node tfjs_networks.js FOLDER COUNT
'use strict';
const fs = require('fs');
const path = require('path');
const tf = require('@tensorflow/tfjs');

let state = 1;
function random() {  // xorshift: the same networks everywhere
  state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
  return (state >>> 0) / 4294967296;
}
const pick = (...values) => values[Math.floor(random() * values.length)];
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

function norm(x) {
  return tf.layers.batchNormalization({axis: -1, epsilon: 1e-3}).apply(x);
}

function active(x) {
  return tf.layers.reLU({maxValue: 6}).apply(x);
}

function makeModel(number) {
  const side = pick(32, 48, 64);
  const image = tf.input({shape: [side, side, 3]});
  const conv = (filters, kernelSize, strides) =>
      tf.layers.conv2d({filters, kernelSize, strides, padding: 'same', useBias: false});
  const depthwise = strides => tf.layers.depthwiseConv2d({kernelSize: 3, strides, padding: 'same', useBias: false});
  let x = active(norm(conv(pick(8, 12, 16), 3, 2).apply(image)));
  const blocks = 2 + Math.floor(random() * 6);
  for (let i = 0; i < blocks; i++) {
    const stride = i % 2 ? pick(1, 2) : 1, filters = i % 3 ? x.shape[3] : pick(8, 12, 20);
    if (number % 2) {
      x = active(norm(depthwise(stride).apply(x)));
      x = active(norm(conv(filters, 1, 1).apply(x)));
      continue;
    }
    let y = i ? active(norm(conv(x.shape[3] * pick(2, 4, 6), 1, 1).apply(x))) : x;
    y = norm(conv(filters, 1, 1).apply(active(norm(depthwise(stride).apply(y)))));
    x = stride === 1 && filters === x.shape[3] ? tf.layers.add().apply([x, y]) : y;
  }
  if (number % 2 === 0) x = active(norm(conv(pick(40, 64), 1, 1).apply(x)));
  const trunk = tf.model({inputs: image, outputs: x});
  const top = tf.sequential();
  if (random() < 0.7) {
    top.add(tf.layers.dense({units: 10 + Math.floor(random() * 20), activation: pick('relu', 'relu6'),
                             inputShape: [x.shape[3]]}));
  }
  top.add(tf.layers.dense({units: 2 + Math.floor(random() * 9), useBias: random() < 0.5,
                           activation: pick('softmax', 'sigmoid'), inputShape: [x.shape[3]]}));
  const model = tf.sequential();  // nested, as Teachable Machine's
  const bottom = tf.sequential();
  bottom.add(trunk);
  bottom.add(tf.layers.globalAveragePooling2d({}));
  model.add(bottom);
  model.add(top);
  const weights = model.getWeights().map((weight, i) => {
    const name = model.weights[i].originalName;
    const fan = weight.shape.slice(0, name.includes('depthwise') ? 2 : -1).reduce((a, b) => a * b, 1);
    return tf.tensor(Array.from({length: weight.size}, () => {
      if (name.includes('variance') || name.includes('gamma')) return 0.6 + 0.8 * random();
      return normal() * (name.includes('kernel') ? Math.sqrt(2 / fan) : 0.3);
    }), weight.shape);
  });
  model.setWeights(weights);
  return {model, side};
}

async function main(folder, count) {
  await tf.setBackend('cpu');
  for (let number = 0; number < count; number++) {
    const {model, side} = makeModel(number);
    const target = path.join(folder, String(number));
    fs.mkdirSync(target);
    await model.save(tf.io.withSaveHandler(async artifacts => {
      fs.writeFileSync(path.join(target, 'weights.bin'), Buffer.from(artifacts.weightData));
      fs.writeFileSync(path.join(target, 'model.json'), JSON.stringify({
        modelTopology: artifacts.modelTopology, format: artifacts.format, generatedBy: artifacts.generatedBy,
        convertedBy: artifacts.convertedBy,
        weightsManifest: [{paths: ['weights.bin'], weights: artifacts.weightSpecs}]}));
      return {modelArtifactsInfo: {dateSaved: new Date(0), modelTopologyType: 'JSON'}};
    }));
    const images = Float32Array.from({length: 2 * side * side * 3}, () => normal());
    fs.writeFileSync(path.join(target, 'images.f32'), Buffer.from(images.buffer));
    const outputs = model.predict(tf.tensor(images, [2, side, side, 3]));
    fs.writeFileSync(path.join(target, 'outputs.f32'), Buffer.from(Float32Array.from(outputs.dataSync()).buffer));
  }
}

main(process.argv[2], Number(process.argv[3]));
