/** The status bar item: whether the server runs, and what it is doing. */

import * as vscode from 'vscode';
import { State } from 'vscode-languageclient/node';
import { StatusText, Work, statusText } from './work.js';

/** A status bar item that follows the client's state and the server's work-done progress. */
export class Status implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('bigquill.status', vscode.StatusBarAlignment.Right, 90);
  private readonly work = new Work();
  private state: 'starting' | 'running' | 'stopped' | 'missing' = 'stopped';

  constructor() {
    this.item.name = 'bigquill';
    this.item.command = 'bigquill.showLog';
    this.draw();
    this.item.show();
  }

  /** Shows the client's state. */
  follow(state: State): void {
    this.work.clear();
    this.state = state === State.Running ? 'running' : state === State.Starting ? 'starting' : 'stopped';
    this.draw();
  }

  /** Shows that no server could be found. */
  missing(): void {
    this.state = 'missing';
    this.draw();
  }

  /** Takes in one work-done progress message. */
  progress(token: string | number, value: { kind: string; title?: string; message?: string }): void {
    this.work.take(token, value);
    this.draw();
  }

  dispose(): void {
    this.item.dispose();
  }

  private draw(): void {
    const shown: StatusText = statusText(this.state, this.work.current());
    this.item.text = shown.text;
    this.item.tooltip = shown.tooltip;
    this.item.backgroundColor = shown.warning ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
  }
}
