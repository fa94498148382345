// The part of the language library that src/core may use beyond ES5: typed arrays as Duktape 2.7 has them.
// ES5's own declaration file already holds Uint8Array, but with later methods such as fill, slice and indexOf;
// test/tidy.test.ts holds the list of those that must not be called.
export {};
