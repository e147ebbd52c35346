//! What a Meshwall filter asks of its proxy: ports, the proxy-wasm adapter and a fake.
