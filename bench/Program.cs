using VoicePlatform.Bench;

// Each measures one promise of the platform, within two minutes unless told otherwise: dotnet run -c Release --project bench -- <name> [count]
var count = args.Length > 1 && int.TryParse(args[1], out var n) && n > 0 ? n : (int?)null;
using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(15), TimeProvider.System);
Func<Task>? run = (args.Length > 0 ? args[0] : "") switch
{
    "latency" => () => LatencyBench.RunAsync(count ?? 15, stop.Token),
    "join" => () => JoinBench.RunAsync(count ?? 100, stop.Token),
    "media" => () => MediaBench.RunAsync(TimeSpan.FromSeconds(count ?? 30), stop.Token),
    "sip-media" => () => SipMediaBench.RunAsync(TimeSpan.FromSeconds(count ?? 60), stop.Token),
    "answer" => () => AnswerBench.RunAsync(count ?? 20, stop.Token),
    "gateway" => () => GatewayBench.RunAsync(TimeSpan.FromSeconds(count ?? 60), stop.Token),
    "queue" => () => QueueBench.RunAsync(stop.Token),
    "webhooks" => () => WebhookBench.RunAsync(TimeSpan.FromSeconds(count ?? 30), stop.Token),
    "api" => () => ApiBench.RunAsync(TimeSpan.FromSeconds(count ?? 4), stop.Token),
    "ledger" => () => LedgerBench.RunAsync(TimeSpan.FromSeconds(count ?? 5), stop.Token),
    "balance" => () => BalanceBench.RunAsync(count ?? 2000, stop.Token),
    "memory" => () => MemoryBench.RunAsync(count ?? 10, stop.Token),
    ServerProcess.Verb => () => ServerProcess.ServeAsync(stop.Token),
    _ => null,
};
if (run is null)
{
    await Console.Error.WriteLineAsync("usage: dotnet run -c Release --project bench -- latency [turns] | join [joins] | media [seconds] | memory [sessions] | sip-media [seconds] | gateway [seconds] | answer [calls] | queue | webhooks [seconds] | api [seconds a round] | ledger [seconds a round] | balance [requests]");
    return 2;
}

if (args[0] != ServerProcess.Verb)
{
    await Machine.PrintAsync(args);
}

await run();
return 0;
