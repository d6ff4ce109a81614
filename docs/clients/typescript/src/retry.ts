/** One tweet, sent until it is accepted: what the errors of the system mean, and when to repeat. */

import { setTimeout as sleep } from "node:timers/promises";

import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "@tweets-del-clima/client/google/rpc/error_details_pb";
import type { WeatherTweetRequest, WeatherTweetService } from "@tweets-del-clima/client/wethertweet/weather_tweet_pb";

/** Domain of the ErrorInfo that the system's own errors carry. Its reason is NOT_COUNTED or MAYBE_COUNTED. */
const DOMAIN = "clima.v1";

/** The longest random wait after the first attempt. It doubles with each further one, up to MAX_BACKOFF_MS. */
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

/**
 * Errors without a fate that another attempt may cure. A library or a proxy on the way made them: the connection was
 * lost, or the time was up.
 */
const TRANSIENT: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.ResourceExhausted,
  Code.Aborted,
  Code.Internal,
  Code.Unknown,
]);

/** What became of a tweet: how many attempts were repeated, and the last error unless it was accepted. */
export interface Outcome {
  retries: number;
  error?: ConnectError;
}

/** Sends single tweets, and repeats attempts that failed. */
export class Sender {
  readonly #client: Client<typeof WeatherTweetService>;
  readonly #deadlineMs: number;
  readonly #attempts: number;

  /** `deadlineMs` is the time limit of one attempt, `attempts` the bound of the attempts for one tweet. */
  constructor(client: Client<typeof WeatherTweetService>, deadlineMs: number, attempts: number) {
    this.#client = client;
    this.#deadlineMs = deadlineMs;
    this.#attempts = attempts;
  }

  /** Tries until the tweet is accepted, the error is one that no repetition cures, or all attempts are used. */
  async send(key: string, tweet: WeatherTweetRequest): Promise<Outcome> {
    for (let retries = 0; ; retries++) {
      const error = await this.#attempt(key, tweet);
      if (error === undefined) {
        return { retries };
      }
      if (!retryable(error) || retries + 1 === this.#attempts) {
        return { retries, error };
      }
      const pauseMs = pause(retries, error);
      console.error(`retry: ${key} in ${Math.round(pauseMs)} ms: ${describe(error)}`);
      await sleep(pauseMs);
    }
  }

  /** One call, with a deadline of its own: what hangs must not use up the time of the attempts after it. */
  async #attempt(key: string, tweet: WeatherTweetRequest): Promise<ConnectError | undefined> {
    try {
      await this.#client.sendTweet(tweet, { timeoutMs: this.#deadlineMs, headers: { "idempotency-key": key } });
      return undefined;
    } catch (error) {
      return ConnectError.from(error);
    }
  }
}

/** Whether another attempt may succeed. It is safe in any case, since the key and the content stay the same. */
function retryable(error: ConnectError): boolean {
  if (fate(error) !== undefined) {
    // NOT_COUNTED and MAYBE_COUNTED may both be repeated, but what is not valid stays so.
    return error.code !== Code.InvalidArgument;
  }
  return TRANSIENT.has(error.code);
}

/**
 * How long to wait before the next attempt, in milliseconds: what the error asks for, and a random time on top, so that
 * clients that failed together do not come back together.
 */
function pause(retries: number, error: ConnectError): number {
  let asked = 0;
  for (const { retryDelay } of error.findDetails(RetryInfoSchema)) {
    asked += Number(retryDelay?.seconds ?? 0) * 1000 + (retryDelay?.nanos ?? 0) / 1e6;
  }
  return asked + Math.random() * Math.min(FIRST_BACKOFF_MS * 2 ** retries, MAX_BACKOFF_MS);
}

/** The reason of the system's ErrorInfo; none where an error has none. */
function fate(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema).find((info) => info.domain === DOMAIN)?.reason;
}

/** An error in one line. One without a fate may have been counted. */
export function describe(error: ConnectError): string {
  return `${Code[error.code]} (${fate(error) ?? "no fate told"}): ${error.rawMessage}`;
}
