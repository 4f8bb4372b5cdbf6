// ONNX Runtime's Node.js package as a contestant of compare_peers.py, with its default settings except for the threads.
//   NODE_PATH=.../node_modules node worker.js ONNX HEIGHT WIDTH THREADS
// The protocol is in ../protocol.py.
'use strict';

const fs = require('fs');
const readline = require('readline');

function reply(text) {
  process.stdout.write(text.replace(/\n/g, ' ') + '\n');
}

async function timedRuns(run, count) {
  if (!(count >= 1)) throw new Error('run: expected a number of runs');
  const timesMs = [];
  for (let i = 0; i < count; ++i) {
    const start = performance.now();
    await run();
    timesMs.push(performance.now() - start);
  }
  return timesMs;
}

async function serve(onnx, height, width, threads) {
  const ort = require('onnxruntime-node');
  const session = await ort.InferenceSession.create(onnx, {intraOpNumThreads: threads});
  const [inputName] = session.inputNames;
  const [outputName] = session.outputNames;
  const feeds = {};
  const run = () => session.run(feeds);
  reply('ready ' + JSON.stringify({version: ort.env.versions.node, detail: 'Node.js package'}));

  for await (const line of readline.createInterface({input: process.stdin})) {
    const space = line.indexOf(' ');
    const command = space < 0 ? line : line.slice(0, space);
    const argument = space < 0 ? '' : line.slice(space + 1);
    try {
      if (command === 'input') {
        const bytes = fs.readFileSync(argument);
        const image = new Float32Array(new Uint8Array(bytes).buffer);  // a copy of its own, aligned
        feeds[inputName] = new ort.Tensor('float32', image, [1, 3, height, width]);
        reply('ok');
      } else if (command === 'run') {
        reply('ms ' + (await timedRuns(run, Number(argument))).map(ms => ms.toPrecision(9)).join(' '));
      } else if (command === 'logits') {
        reply('logits ' + Array.from((await run())[outputName].data, value => value.toPrecision(9)).join(' '));
      } else {
        throw new Error(`'${line}': unknown request`);
      }
    } catch (error) {
      reply('error ' + error.message);
    }
  }
}

const [onnx, ...numbers] = process.argv.slice(2);
serve(onnx, ...numbers.map(Number)).catch(error => {
  reply('error ' + error.message);
  process.exitCode = 1;
});
