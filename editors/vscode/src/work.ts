/** What the status bar says. Knows nothing of VS Code. */

/** The server's running work, by progress token. */
export class Work {
  private readonly running = new Map<string | number, { title: string; message: string }>();

  /** Takes in one work-done progress message. */
  take(token: string | number, value: { kind: string; title?: string; message?: string }): void {
    if (value.kind === 'end') {
      this.running.delete(token);
      return;
    }
    const before = this.running.get(token);
    this.running.set(token, {
      title: value.title ?? before?.title ?? '',
      message: value.message ?? before?.message ?? '',
    });
  }

  /** The newest work, as a sentence; `undefined` when idle. */
  current(): string | undefined {
    const newest = [...this.running.values()].at(-1);
    return newest && [newest.title, newest.message].filter((part) => part !== '').join(': ');
  }

  /** Forgets all work: the server has gone. */
  clear(): void {
    this.running.clear();
  }
}

/** Text and tooltip of the status bar item. */
export interface StatusText {
  readonly text: string;
  readonly tooltip: string;
  readonly warning: boolean;
}

/** What to show for a state of the server and its work. */
export function statusText(state: 'starting' | 'running' | 'stopped' | 'missing', work: string | undefined): StatusText {
  switch (state) {
    case 'starting':
      return { text: '$(loading~spin) bigquill', tooltip: 'bigquill: starting', warning: false };
    case 'stopped':
      return { text: '$(warning) bigquill', tooltip: 'bigquill: stopped. Click for the log.', warning: true };
    case 'missing':
      return { text: '$(warning) bigquill', tooltip: 'bigquill: no server found. Click for the log.', warning: true };
    case 'running':
      return work === undefined
        ? { text: '$(database) bigquill', tooltip: 'bigquill: ready. Click for the log.', warning: false }
        : { text: '$(loading~spin) bigquill', tooltip: `bigquill: ${work}`, warning: false };
  }
}
