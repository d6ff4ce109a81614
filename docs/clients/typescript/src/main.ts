/**
 * Sends weather tweets to the gateway by gRPC, each with an idempotency key, and repeats what failed until every tweet
 * is accepted: the way to use the generated TypeScript client. What an error means, and when to repeat, is in retry.ts.
 */

import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";

import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  type WeatherTweetRequest,
  WeatherTweetRequestSchema,
  WeatherTweetService,
} from "@tweets-del-clima/client/wethertweet/weather_tweet_pb";

import { Sender, describe } from "./retry.js";

const HELP = `Usage: node dist/main.js [OPTIONS]

Sends weather tweets by gRPC and repeats what failed until every tweet is accepted.

  --address HOST:PORT  the gateway's public gRPC port (default: 127.0.0.1:5051)
  --tweets N           how many tweets to send (default: 100)
  --in-flight N        how many calls to make at the same time (default: 8)
  --deadline SECONDS   time limit of one attempt (default: 5)
  --attempts N         how often to try one tweet before giving up (default: 10)
  --run NAME           name of this run, part of every key: tweets of a run that is repeated
                       within 24 h are not counted again (default: a random name)
  --help               this text
`;

interface Settings {
  address: string;
  tweets: number;
  inFlight: number;
  deadlineMs: number;
  attempts: number;
  run: string;
}

/** What the command line asks for; none where it asks for help. Throws where it is wrong. */
function settings(): Settings | undefined {
  const { values } = parseArgs({
    options: {
      address: { type: "string", default: "127.0.0.1:5051" },
      tweets: { type: "string", default: "100" },
      "in-flight": { type: "string", default: "8" },
      deadline: { type: "string", default: "5" },
      attempts: { type: "string", default: "10" },
      run: { type: "string", default: randomUUID() },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    return undefined;
  }
  const count = (name: "tweets" | "in-flight" | "attempts"): number => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new Error(`--${name}: ${values[name]} is not a whole number above 0`);
    }
    return value;
  };
  const deadlineMs = Number(values.deadline) * 1000;
  if (!(deadlineMs > 0)) {
    throw new Error(`--deadline: ${values.deadline} is not a number above 0`);
  }
  return {
    address: values.address,
    tweets: count("tweets"),
    inFlight: count("in-flight"),
    deadlineMs,
    attempts: count("attempts"),
    run: values.run,
  };
}

/** The report of this number. It is always the same one: a key belongs to its content. */
function tweet(number: number): WeatherTweetRequest {
  return create(WeatherTweetRequestSchema, {
    municipality: 1 + (number % 4),
    temperature: 15 + (number % 20),
    humidity: 40 + (number % 50),
    weather: 1 + (Math.floor(number / 4) % 4),
  });
}

/**
 * Sends the tweets of a run, so many of them at the same time. Returns how many were accepted, and how many attempts
 * were repeated.
 */
async function sendAll(
  sender: Sender,
  { run, tweets, inFlight }: Settings,
): Promise<{ accepted: number; retried: number }> {
  let next = 0;
  let accepted = 0;
  let retried = 0;
  const work = async (): Promise<void> => {
    while (next < tweets) {
      const number = next++;
      // The key is fixed before the first attempt: all attempts of a tweet share it.
      const key = `${run}-${number}`;
      const { retries, error } = await sender.send(key, tweet(number));
      retried += retries;
      if (error === undefined) {
        accepted += 1;
      } else {
        console.error(`not accepted: ${key}: ${describe(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return { accepted, retried };
}

async function main(): Promise<number> {
  let asked: Settings | undefined;
  try {
    asked = settings();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  if (asked === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  // The connection is made with the first call, and made again whenever it is lost.
  const transport = createGrpcTransport({ baseUrl: `http://${asked.address}` });
  const sender = new Sender(createClient(WeatherTweetService, transport), asked.deadlineMs, asked.attempts);
  const { accepted, retried } = await sendAll(sender, asked);
  console.log(`accepted=${accepted} retried=${retried}`);
  return accepted === asked.tweets ? 0 : 1;
}

process.exitCode = await main();
