import test from 'ava';
import { engineNotice } from '../../runtime/device/engine-notice.ts';

test('what kernels run on is told where it is no processor, or the plan takes the device for something else', (t) => {
  t.is(engineNotice('cpu', 'ONNX Runtime CPU', { type: 'cpu' }), undefined);
  t.is(engineNotice('cuda', 'ONNX Runtime CUDA', { type: 'H100' }), 'kernels run by ONNX Runtime CUDA');
  t.is(engineNotice('webgpu', 'ONNX Runtime WebGPU', { type: 'cpu' }), 'kernels run by ONNX Runtime WebGPU');
  t.regex(
    engineNotice('cpu', 'ONNX Runtime CPU', { type: 'P100' }) ?? '',
    /CPU, and the plan is for .* P100: .*see docs\/gpu\.md$/,
  );
});
