// Runs calls on the index in groups: calls that wait together share one transaction and one flush. Used by the worker
// thread and, without a thread, by tests.

import { reasonOf } from '../host/system-error.ts';
import { SqliteIndex } from './sqlite-index.ts';

/** A call by name, as it crosses the thread boundary. */
export interface IndexCall {
  readonly call: number;
  readonly method:
    | 'open'
    | 'insert'
    | 'claim'
    | 'settle'
    | 'hasten'
    | 'reschedule'
    | 'handOut'
    | 'regroup'
    | 'remove'
    | 'read'
    | 'finished'
    | 'overview'
    | 'list'
    | 'existing'
    | 'close';
  readonly args: readonly unknown[];
}

/** The answer to the call of that number. */
export type IndexReply =
  | { readonly call: number; readonly result: unknown }
  | {
      readonly call: number;
      readonly error: { readonly message: string; readonly code: string | undefined };
    };

/**
 * Calls that wait together, in the groups that they run in. What changes nothing on disk goes first: a delivery that waits for
 * its message does not wait for the flush of others' verdicts. Answers come in the order in which the calls are carried out.
 */
export function inGroups(calls: readonly IndexCall[]): IndexCall[][] {
  const isReading = ({ method }: IndexCall) => method === 'read' || method === 'claim';
  const groups = [calls.filter(isReading), calls.filter((call) => !isReading(call))];
  return groups.filter(({ length }) => length > 0);
}

/** Owns the index of one database file. */
export class IndexRunner {
  readonly #path: string;
  #index: SqliteIndex | undefined;

  /** @param path database file, or `:memory:` */
  constructor(path: string) {
    this.#path = path;
  }

  /** Carries out the calls in order as one transaction; if that fails, every call of the group fails and nothing was changed. */
  run(calls: readonly IndexCall[]): IndexReply[] {
    try {
      if (calls[0]?.method === 'open') this.#index ??= new SqliteIndex(this.#path);
      const index = this.#index!;
      if (calls.some(({ method }) => method === 'close')) return this.#close(index, calls);
      index.begin();
      const replies = calls.map(({ call, method, args }) => ({ call, result: invoke(index, method, args) }));
      index.commit();
      return replies;
    } catch (error) {
      this.#rollback();
      return calls.map(({ call }) => ({ call, error: describe(error) }));
    }
  }

  #rollback(): void {
    try {
      this.#index?.rollback();
    } catch {
      // The first error is the one that matters; the transaction is gone either way.
    }
  }

  #close(index: SqliteIndex, calls: readonly IndexCall[]): IndexReply[] {
    index.close();
    this.#index = undefined;
    return calls.map(({ call }) => ({ call, result: undefined }));
  }
}

function invoke(index: SqliteIndex, method: IndexCall['method'], args: readonly unknown[]): unknown {
  return (index[method] as (...values: readonly unknown[]) => unknown).apply(index, [...args]);
}

function describe(error: unknown): { message: string; code: string | undefined } {
  const message = reasonOf(error);
  const code = error instanceof Error && 'errcode' in error ? String(error.errcode) : undefined;
  return { message, code };
}
