// Receives the messages of a JetStream consumer for as long as it runs, whatever certificates come and go.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	closed := make(chan struct{})
	connection, err := nats.Connect(os.Getenv("NATS_URL"),
		// By path, not by content: both read their files again for each connection.
		nats.RootCAs(os.Getenv("NATS_CA")),
		nats.ClientCert(os.Getenv("NATS_CERT"), os.Getenv("NATS_KEY")),
		nats.MaxReconnects(-1),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }),
	)
	if err != nil {
		log.Fatal(err)
	}
	go reconnectOnChange(connection, os.Getenv("NATS_CERT"))

	if err := receive(connection, os.Getenv("NATS_STREAM"), os.Getenv("NATS_CONSUMER")); err != nil {
		log.Fatal(err)
	}
	<-closed
}

// reconnectOnChange looks at the file's content: Kubernetes renews a mounted Secret by a link elsewhere, which a watch for
// events may miss.
func reconnectOnChange(connection *nats.Conn, file string) {
	used, _ := os.ReadFile(file)
	for range time.Tick(5 * time.Second) {
		content, err := os.ReadFile(file)
		if err != nil || string(content) == string(used) {
			continue
		}
		// One that is down waits until it is back: forced meanwhile, nats.go would dial without a pause.
		if connection.IsConnected() && connection.ForceReconnect() == nil {
			used = content
		}
	}
}

func receive(connection *nats.Conn, stream, name string) error {
	client, err := jetstream.New(connection)
	if err != nil {
		return err
	}
	consumer, err := client.Consumer(context.Background(), stream, name)
	if err != nil {
		return err
	}
	_, err = consumer.Consume(func(message jetstream.Msg) {
		fmt.Println(string(message.Data()))
		message.Ack()
	})
	return err
}
