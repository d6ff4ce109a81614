module github.com/tweets-del-clima/tweets-del-clima/docs/clients/go

go 1.24.0

require (
	github.com/tweets-del-clima/tweets-del-clima/clients/go v0.0.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260120221211-b8f7ae30c516
	google.golang.org/grpc v1.80.0
)

require (
	golang.org/x/net v0.49.0 // indirect
	golang.org/x/sys v0.40.0 // indirect
	golang.org/x/text v0.33.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20260120221211-b8f7ae30c516 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

// What `make gen` makes from the proto.
replace github.com/tweets-del-clima/tweets-del-clima/clients/go => ../../../target/clients/go
