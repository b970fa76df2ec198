/** The program of the controller's pod. */
import { createServer } from 'node:http';
import process from 'node:process';
import { KubeConfig } from '@kubernetes/client-node';
import { loadConfig } from './config.ts';
import { startController } from './controller.ts';

function log(line: Readonly<Record<string, unknown>>): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
}

async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  const controller = await startController(kubeConfig, config, log);
  const server = createServer((request, response) => {
    if (request.url === '/healthz') response.end('ok\n');
    else if (request.url === '/metrics') {
      controller.metrics.registry.metrics().then(
        (text) => response.setHeader('content-type', controller.metrics.registry.contentType).end(text),
        () => response.writeHead(500).end(),
      );
    } else response.writeHead(404).end();
  });
  server.listen(config.metricsPort, config.metricsHost);
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
    controller.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
}

main().catch((error: unknown) => {
  log({ level: 'fatal', error: error instanceof Error ? error.message : String(error) });
  process.exitCode = 2;
});
