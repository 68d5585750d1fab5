/** The version of this package, as other sides are told it. A test holds it equal to package.json. */
export const sdkVersion = "0.1.0"
