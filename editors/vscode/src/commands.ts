/** The commands that are more than one call. */

import * as vscode from 'vscode';

/** The server's command behind "Generate SQL from comment" and "Regenerate SQL from comment". */
const GENERATE = 'bigquill.generate';

/** The server's command behind the code lens with bytes and price. */
const DRY_RUN = 'bigquill.dryRun';

/** The server's command that asks BigQuery, and catalog files, for what changed. */
export const REFRESH_CATALOG = 'bigquill.refreshCatalog';

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
