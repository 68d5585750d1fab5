/** Loaded by Node as it is: it holds a database driver and, for development, the programs of a PostgreSQL. */
export default { serverExternalPackages: ["effect-governance"] }
