/** Starts the server and offers a few commands. All understanding of SQL is the server's. */

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as vscode from 'vscode';
import { LanguageClient, LanguageClientOptions, StaticFeature } from 'vscode-languageclient/node';
import {
  dryRunFile,
  exportResults,
  generateAtCursor,
  input,
  previewAtCursor,
  pullModel,
  REFRESH_CATALOG,
  runAtCursor,
  showPage,
} from './commands.js';
import { Located, locateServer } from './locate.js';
import { explicitSettings, serverKeys } from './settings.js';
import { Status } from './status.js';

const LANGUAGES = ['sql', 'bigquery', 'sql-bigquery'];

let session: Session | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  session = new Session(context);
  context.subscriptions.push(session);
  await session.start();
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}

/** One server at a time, with what is shown of it. */
class Session implements vscode.Disposable {
  private readonly log = vscode.window.createOutputChannel('bigquill', { log: true });
  private readonly status = new Status();
  private readonly keys: readonly string[];
  private readonly disposables: vscode.Disposable[];
  private client: LanguageClient | undefined;
  /** Starts and stops wait for each other here. */
  private turn: Promise<void> = Promise.resolve();

  constructor(private readonly context: vscode.ExtensionContext) {
    this.keys = serverKeys(context.extension.packageJSON.contributes.configuration.properties);
    const command = vscode.commands.registerCommand;
    this.disposables = [
      this.log,
      this.status,
      command('bigquill.generateAtCursor', generateAtCursor),
      command('bigquill.dryRunFile', dryRunFile),
      command('bigquill.runAtCursor', runAtCursor),
      command('bigquill.previewAtCursor', previewAtCursor),
      command('bigquill.nextPage', () => showPage('next')),
      command('bigquill.previousPage', () => showPage('previous')),
      command('bigquill.exportAll', exportResults),
      command('bigquill.refreshTables', () => vscode.commands.executeCommand(REFRESH_CATALOG)),
      command('bigquill.restartServer', () => this.restart()),
      command('bigquill.showLog', () => this.log.show()),
      command('bigquill.pullModel', () => this.pull()),
      vscode.workspace.onDidChangeConfiguration((event) => this.configurationChanged(event)),
    ];
  }

  /** Starts the server, or says why there is none. */
  start(): Promise<void> {
    return this.inTurn(() => this.startNow());
  }

  /** Stops the server. */
  stop(): Promise<void> {
    return this.inTurn(() => this.stopNow());
  }

  /** Stops the server and starts it again. */
  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.stopNow();
      await this.startNow();
    });
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private inTurn(action: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(action).catch((error: unknown) => {
      this.log.error(error instanceof Error ? error : String(error));
    });
    return this.turn;
  }

  private async startNow(): Promise<void> {
    const server = this.locate();
    if (server === undefined) {
      this.status.missing();
      void this.explainMissing();
      return;
    }
    this.log.info(`server: ${server.path} (${server.source})`);
    const client = new LanguageClient('bigquill', 'bigquill', { command: server.path }, this.clientOptions());
    client.onDidChangeState((event) => this.status.follow(event.newState));
    client.registerFeature(asksForInput);
    client.onRequest('bigquill/input', input);
    this.client = client;
    await client.start();
  }

  private async stopNow(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client !== undefined) {
      await client.dispose();
    }
  }

  private locate(): Located | undefined {
    return locateServer({
      setting: vscode.workspace.getConfiguration('bigquill').get('server.path', '').trim(),
      extensionPath: this.context.extensionPath,
      platform: process.platform,
      environment: process.env,
      homedir: os.homedir(),
      isExecutable,
    });
  }

  private clientOptions(): LanguageClientOptions {
    return {
      documentSelector: LANGUAGES.flatMap((language) => [
        { scheme: 'file', language },
        { scheme: 'untitled', language },
      ]),
      outputChannel: this.log,
      middleware: {
        workspace: {
          configuration: (params) =>
            params.items.map((item) => {
              const scope = item.scopeUri === undefined ? undefined : vscode.Uri.parse(item.scopeUri);
              return item.section === 'bigquill' ? this.settings(scope) : null;
            }),
          // The server may ask to be told; `configurationChanged` does so, without the defaults.
          didChangeConfiguration: async () => {},
        },
        handleWorkDoneProgress: (token, params, next) => {
          this.status.progress(token, params);
          next(token, params);
        },
      },
    };
  }

  /** What the user has set, for the server. */
  private settings(scope?: vscode.Uri): Record<string, unknown> {
    const configuration = vscode.workspace.getConfiguration('bigquill', scope);
    return explicitSettings(this.keys, (key) => configuration.inspect(key));
  }

  private async configurationChanged(event: vscode.ConfigurationChangeEvent): Promise<void> {
    if (event.affectsConfiguration('bigquill.server')) {
      await this.restart();
    } else if (event.affectsConfiguration('bigquill') && this.client?.isRunning()) {
      await this.client.sendNotification('workspace/didChangeConfiguration', {
        settings: { bigquill: this.settings() },
      });
    }
  }

  private async pull(): Promise<void> {
    const server = this.locate();
    if (server === undefined) {
      await this.explainMissing();
    } else if (await pullModel(server.path)) {
      await this.restart();
    }
  }

  private async explainMissing(): Promise<void> {
    const setting = vscode.workspace.getConfiguration('bigquill').get('server.path', '');
    const reason =
      setting === ''
        ? 'There is no bigquill server with this extension and none on the PATH.'
        : `The setting bigquill.server.path names no executable: ${setting}`;
    this.log.error(reason);
    const open = 'Open Settings';
    if ((await vscode.window.showErrorMessage(reason, open)) === open) {
      await vscode.commands.executeCommand('workbench.action.openSettings', 'bigquill.server.path');
    }
  }
}

/** Tells the server that it may ask for values of query parameters. */
const asksForInput: StaticFeature = {
  fillClientCapabilities: (capabilities) => {
    capabilities.experimental = { ...capabilities.experimental, bigquill: { input: true } };
  },
  initialize: () => {},
  getState: () => ({ kind: 'static' }),
  clear: () => {},
};

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}
