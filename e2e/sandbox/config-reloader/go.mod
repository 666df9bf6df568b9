module sandbox/config-reloader

go 1.25.0

tool github.com/nats-io/nack/cmd/nats-server-config-reloader

require (
	github.com/fsnotify/fsnotify v1.9.0 // indirect
	github.com/nats-io/nack v0.22.4 // indirect
	golang.org/x/sys v0.42.0 // indirect
)
