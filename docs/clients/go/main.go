// Command clima-example sends weather tweets to the gateway by gRPC, each with an idempotency key, and repeats what
// failed until every tweet is accepted: the way to use the generated Go client. What an error means, and when to
// repeat, is in retry.go.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/tweets-del-clima/tweets-del-clima/clients/go/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	address := flag.String("address", "127.0.0.1:5051", "host:port of the gateway's public gRPC port")
	tweets := flag.Int("tweets", 100, "how many tweets to send")
	inFlight := flag.Int("in-flight", 8, "how many calls to make at the same time")
	deadline := flag.Duration("deadline", 5*time.Second, "time limit of one attempt")
	attempts := flag.Int("attempts", 10, "how often to try one tweet before giving up")
	run := flag.String("run", "", "name of this run, part of every key: tweets of a run that is repeated\n"+
		"within 24 h are not counted again (default: a random name)")
	flag.Parse()
	if flag.NArg() > 0 || *tweets < 1 || *inFlight < 1 || *attempts < 1 || *deadline <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	if *run == "" {
		*run = rand.Text()
	}
	log.SetFlags(0)

	// The connection is made with the first call, and made again whenever it is lost.
	connection, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	sender := sender{client: pb.NewWeatherTweetServiceClient(connection), deadline: *deadline, attempts: *attempts}
	accepted, retried := sendAll(ctx, &sender, *run, *tweets, *inFlight)
	fmt.Printf("accepted=%d retried=%d\n", accepted, retried)
	if accepted != int64(*tweets) {
		os.Exit(1)
	}
}

// sendAll sends the tweets of a run, inFlight of them at the same time. It returns how many were accepted, and how many
// attempts were repeated.
func sendAll(ctx context.Context, sender *sender, run string, tweets, inFlight int) (accepted, retried int64) {
	numbers := make(chan int)
	go func() {
		defer close(numbers)
		for number := range tweets {
			numbers <- number
		}
	}()
	var acceptedCount, retriedCount atomic.Int64
	var workers sync.WaitGroup
	for range inFlight {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := range numbers {
				// The key is fixed before the first attempt: all attempts of a tweet share it.
				key := fmt.Sprintf("%s-%d", run, number)
				retries, err := sender.send(ctx, key, tweet(number))
				retriedCount.Add(int64(retries))
				if err != nil {
					log.Printf("not accepted: %s: %v", key, describe(err))
					continue
				}
				acceptedCount.Add(1)
			}
		}()
	}
	workers.Wait()
	return acceptedCount.Load(), retriedCount.Load()
}

// tweet is the report of this number. It is always the same one: a key belongs to its content.
func tweet(number int) *pb.WeatherTweetRequest {
	return &pb.WeatherTweetRequest{
		Municipality: pb.Municipalities(1 + number%4),
		Temperature:  int32(15 + number%20),
		Humidity:     int32(40 + number%50),
		Weather:      pb.Weathers(1 + number/4%4),
	}
}
