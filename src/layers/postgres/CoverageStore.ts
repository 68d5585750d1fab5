import { Effect, Layer, Schema } from "effect"
import {
  type CoverageInstance,
  HostCalls,
  InstanceId,
  maxInstances,
  WrapperRegistration
} from "../../schema/Coverage.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { CoverageStore } from "../../services/CoverageStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** The registry that all processes on the database share. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("CoverageStore")

  return CoverageStore.of({
    report: ({ calls, governed, hosts, instance, machine, wrappers }, proof) =>
      Effect.map(
        ask(
          "report",
          `SELECT ${prefix}governance_report_wrappers($1::uuid, $2::bytea, $3, $4, $5, $6::jsonb, $7::jsonb)`,
          [instance, proof, machine, BigInt(governed), BigInt(calls), JSON.stringify(wrappers), JSON.stringify(hosts)]
        ),
        ([row]) => row?.[0] === true
      ),

    list: Effect.suspend(() =>
      Effect.flatMap(ask("list", listing(prefix), [BigInt(maxInstances)]), (rows) =>
        Effect.mapError(Effect.forEach(rows, instanceOf), (cause) =>
          StoreError.because({ store: "CoverageStore", operation: "list", problem: "integrity" }, cause)
        )
      )
    )
  })
})

export const layer = Layer.effect(CoverageStore, make)

const listing = (prefix: string) => `
  SELECT instance::text, machine, governed, calls, wrappers::text, hosts::text,
         (extract(epoch FROM started_at) * 1000)::bigint, (extract(epoch FROM last_seen) * 1000)::bigint
    FROM ${prefix}governance_wrapper_registrations ORDER BY last_seen DESC, instance LIMIT $1`

const instanceOf = Effect.fnUntraced(function* ([
  instance,
  machine,
  governed,
  calls,
  wrappers,
  hosts,
  startedAt,
  lastSeen
]: ReadonlyArray<unknown>) {
  return {
    instance: InstanceId.make(String(instance)),
    machine: String(machine),
    governed: Number(governed),
    calls: Number(calls),
    wrappers: yield* decodeWrappers(wrappers),
    hosts: yield* decodeHosts(hosts),
    startedAtMs: Number(startedAt),
    lastSeenMs: Number(lastSeen)
  } satisfies CoverageInstance
})

const decodeWrappers = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(WrapperRegistration)))
const decodeHosts = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(HostCalls)))
