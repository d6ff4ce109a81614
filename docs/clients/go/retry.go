package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"time"

	pb "github.com/tweets-del-clima/tweets-del-clima/clients/go/proto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// Domain of the ErrorInfo that the system's own errors carry. Its reason is NOT_COUNTED or MAYBE_COUNTED.
	domain = "clima.v1"
	// The longest random wait after the first attempt. It doubles with each further one, up to maxBackoff.
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

// sender sends single tweets, and repeats attempts that failed.
type sender struct {
	client pb.WeatherTweetServiceClient
	// Time limit of one attempt.
	deadline time.Duration
	// Bound of the attempts for one tweet.
	attempts int
}

// send tries until the tweet is accepted, the error is one that no repetition cures, or all attempts are used. It returns
// how many attempts were repeated, and the last error.
func (s *sender) send(ctx context.Context, key string, tweet *pb.WeatherTweetRequest) (retries int, err error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", key)
	for {
		if err = s.attempt(ctx, tweet); err == nil || !retryable(err) || retries+1 == s.attempts {
			return retries, err
		}
		pause := pause(retries, err)
		log.Printf("retry: %s in %d ms: %s", key, pause.Milliseconds(), describe(err))
		select {
		case <-time.After(pause):
			retries++
		case <-ctx.Done():
			return retries, err
		}
	}
}

// attempt makes one call, with a deadline of its own: what hangs must not use up the time of the attempts after it.
func (s *sender) attempt(ctx context.Context, tweet *pb.WeatherTweetRequest) error {
	ctx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	_, err := s.client.SendTweet(ctx, tweet)
	return err
}

// retryable tells whether another attempt may succeed. It is safe in any case, since the key and the content stay the same.
func retryable(err error) bool {
	code := status.Code(err)
	if fate(err) != "" {
		// NOT_COUNTED and MAYBE_COUNTED may both be repeated, but what is not valid stays so.
		return code != codes.InvalidArgument
	}
	// Made by a library or a proxy on the way: the connection was lost, or the time was up.
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted,
		codes.Internal, codes.Unknown:
		return true
	}
	return false
}

// pause is how long to wait before the next attempt: what the error asks for, and a random time on top, so that clients
// that failed together do not come back together.
func pause(retries int, err error) time.Duration {
	backoff := min(firstBackoff<<min(retries, 10), maxBackoff)
	pause := rand.N(backoff)
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			pause += info.GetRetryDelay().AsDuration()
		}
	}
	return pause
}

// fate is the reason of the system's ErrorInfo, empty where an error has none.
func fate(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			return info.GetReason()
		}
	}
	return ""
}

// describe is an error in one line. One without a fate may have been counted.
func describe(err error) string {
	reason := fate(err)
	if reason == "" {
		reason = "no fate told"
	}
	return fmt.Sprintf("%v (%s): %s", status.Code(err), reason, status.Convert(err).Message())
}
