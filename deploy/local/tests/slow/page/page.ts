// Sends tweets from a page by gRPC-web, with the generated client, and tells what became of them.

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { BadRequestSchema, ErrorInfoSchema } from "client/google/rpc/error_details_pb";
import { WeatherTweetRequestSchema, WeatherTweetService } from "client/wethertweet/weather_tweet_pb";

const TWEET_ID = "clima-tweet-id";

/** What became of a tweet, in plain values. */
interface Outcome {
  status?: string;
  id?: string | null;
  code?: string;
  violations?: string[];
  reason?: string;
  reached?: boolean;
}

interface Tweet {
  municipality: number;
  temperature: number;
  humidity: number;
  weather: number;
}

async function send(gateway: string, tweet: Tweet, key?: string): Promise<Outcome> {
  const transport = createGrpcWebTransport({ baseUrl: gateway, defaultTimeoutMs: 15_000 });
  const client = createClient(WeatherTweetService, transport);
  let id: string | null = null;
  try {
    const answer = await client.sendTweet(create(WeatherTweetRequestSchema, tweet), {
      headers: key === undefined ? {} : { "idempotency-key": key },
      onHeader: (headers) => {
        id = headers.get(TWEET_ID);
      },
    });
    return { status: answer.status, id };
  } catch (cause) {
    const error = ConnectError.from(cause);
    const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
    return {
      code: Code[error.code],
      id: error.metadata.get(TWEET_ID),
      violations: violations.map((violation) => violation.field),
      reason: error.findDetails(ErrorInfoSchema)[0]?.reason,
      // What may be sent without being read tells whether the gateway is there at all.
      reached: await fetch(gateway, { mode: "no-cors" }).then(
        () => true,
        () => false,
      ),
    };
  }
}

Object.assign(window, { send });
