/** The commands that are more than one call. */

import * as vscode from 'vscode';

/** The server's command behind "Generate SQL from comment" and "Regenerate SQL from comment". */
const GENERATE = 'bigquill.generate';

/** The server's command behind the code lens with bytes and price. */
const DRY_RUN = 'bigquill.dryRun';

/** The server's command that asks BigQuery, and catalog files, for what changed. */
export const REFRESH_CATALOG = 'bigquill.refreshCatalog';

/** The server's commands that run a statement, show rows of a table, page through results and export them. */
const RUN = 'bigquill.run';
const PREVIEW_TABLE = 'bigquill.previewTable';
const RESULTS_PAGE = 'bigquill.resultsPage';
const EXPORT_RESULTS = 'bigquill.exportResults';

/** Runs the server's generate action where the cursor stands. */
export async function generateAtCursor(): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined) {
    return;
  }
  const actions = await vscode.commands.executeCommand<(vscode.CodeAction | vscode.Command)[]>(
    'vscode.executeCodeActionProvider',
    editor.document.uri,
    editor.selection,
  );
  for (const action of actions) {
    const command = typeof action.command === 'string' ? (action as vscode.Command) : action.command;
    if (command?.command === GENERATE) {
      await vscode.commands.executeCommand(command.command, ...(command.arguments ?? []));
      return;
    }
  }
  void vscode.window.showInformationMessage('bigquill: no comment here asks for SQL. Put the cursor on one.');
}

/** Has BigQuery plan the statements of the active file; runs nothing. */
export async function dryRunFile(): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (editor !== undefined) {
    await vscode.commands.executeCommand(DRY_RUN, { uri: editor.document.uri.toString() });
  }
}

/** Runs the statement where the cursor stands. The server asks before it runs what changes data. */
export function runAtCursor(): Promise<void> {
  return atCursor(RUN);
}

/** Shows the first rows of the table where the cursor stands. */
export function previewAtCursor(): Promise<void> {
  return atCursor(PREVIEW_TABLE);
}

async function atCursor(command: string): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (editor !== undefined) {
    const { line, character } = editor.selection.active;
    await vscode.commands.executeCommand(command, { uri: editor.document.uri.toString(), position: { line, character } });
  }
}

/** Shows the page after or before the results in the active editor. */
export async function showPage(page: 'next' | 'previous'): Promise<void> {
  const uri = vscode.window.activeTextEditor?.document.uri.toString();
  if (uri !== undefined) {
    await reported(() => vscode.commands.executeCommand(RESULTS_PAGE, { uri, page }));
  }
}

/** Writes all rows of the results in the active editor into a file that the person chooses. */
export async function exportResults(): Promise<void> {
  const uri = vscode.window.activeTextEditor?.document.uri;
  if (uri === undefined) {
    return;
  }
  const name = uri.path.slice(uri.path.lastIndexOf('/') + 1).replace(/-\d+\.md$/, '.csv');
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const file = await vscode.window.showSaveDialog({
    ...(folder === undefined ? {} : { defaultUri: vscode.Uri.joinPath(folder, name) }),
    filters: { CSV: ['csv'], 'JSON lines': ['jsonl'], Markdown: ['md'] },
  });
  if (file !== undefined) {
    await reported(async () => {
      const rows = await vscode.commands.executeCommand(EXPORT_RESULTS, { uri: uri.toString(), path: file.fsPath });
      void vscode.window.showInformationMessage(`bigquill: ${rows} rows in ${file.fsPath}`);
    });
  }
}

/** Asks for the value of a query parameter, for the server. */
export async function input(params: { prompt: string; placeholder: string }): Promise<string | null> {
  const text = await vscode.window.showInputBox({ prompt: params.prompt, placeHolder: params.placeholder });
  return text === undefined || text === '' ? null : text;
}

/** Shows why the server could not do it. */
async function reported(action: () => PromiseLike<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    void vscode.window.showErrorMessage(`bigquill: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Fetches the model that the defaults need, in a terminal that shows the progress.
 * True once it is there.
 */
export async function pullModel(server: string): Promise<boolean> {
  const task = new vscode.Task(
    { type: 'process' },
    vscode.TaskScope.Workspace,
    'pull model',
    'bigquill',
    new vscode.ProcessExecution(server, ['model', 'pull']),
  );
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always };
  const execution = await vscode.tasks.executeTask(task);
  return new Promise((resolve) => {
    const subscription = vscode.tasks.onDidEndTaskProcess((event) => {
      if (event.execution === execution) {
        subscription.dispose();
        resolve(event.exitCode === 0);
      }
    });
  });
}
