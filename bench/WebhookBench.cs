using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using MediatR;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Host;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.Bench;

/// <summary>
/// Webhooks: from the commit of an event to the first byte of its first attempt at the receiver, while 1,000 a second are announced over 20 tenants,
/// each in a transaction of its own as modules do it; then the same while one tenant's receiver lets every request hang for 30 s. The host is the
/// real one without the agent, in this process, and so are those who announce and the receivers: they share its processors.
/// </summary>
internal static class WebhookBench
{
    private const int PerSecond = 1000;
    private const int Tenants = 20;
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);
    private static readonly string Padding = new('x', 1000);

    public static async Task RunAsync(TimeSpan duration, CancellationToken ct)
    {
        var dataDir = Directory.CreateTempSubdirectory("bench-").FullName;
        await Machine.RunAsync("eng/postgres", "start", dataDir);
        try
        {
            await HostProcess.MigrateAsync(dataDir, (await Machine.RunAsync("eng/postgres", "owner-url", dataDir)).Trim(), ct);
            await using var host = await StartHostAsync(dataDir, (await Machine.RunAsync("eng/postgres", "url", dataDir)).Trim(), ct);
            await using var receiver = await Receiver.StartAsync(ct);
            var tenants = await SignUpAsync(host, receiver, ct);
            await MeasureAsync("warming up", host, receiver, tenants, TimeSpan.FromSeconds(5), ct);
            await MeasureAsync("all receivers answer", host, receiver, tenants, duration, ct);
            receiver.HangingTenant = 0;
            await MeasureAsync("one receiver hangs: the others'", host, receiver, tenants, duration, ct);
            receiver.Release();
            await host.StopAsync(ct);
        }
        finally
        {
            await HostProcess.RemoveClusterAsync(dataDir);
        }
    }

    private static async Task MeasureAsync(string name, WebApplication host, Receiver receiver, IReadOnlyList<string> tenants, TimeSpan duration, CancellationToken ct)
    {
        var count = (int)(duration.TotalSeconds * PerSecond);
        receiver.Expect(count, skip: receiver.HangingTenant is null ? 0 : count / Tenants);
        var processor = Process.GetCurrentProcess().TotalProcessorTime;
        var transactions = host.Services.GetRequiredService<Transactions>();
        var announcing = new ConcurrentBag<Task>();
        var clock = Stopwatch.StartNew();
        for (var n = 0; n < count;)
        {
            // As many as are due by now: a late tick makes up for itself, so that the rate is the rate.
            for (var due = Math.Min(count, (int)(clock.Elapsed.TotalSeconds * PerSecond) + 1); n < due; n++)
            {
                announcing.Add(AnnounceAsync(transactions, receiver, tenants[n % Tenants], n % Tenants, n, ct));
            }

            await Task.Delay(Tick, TimeProvider.System, ct);
        }

        await Task.WhenAll(announcing);
        var announced = clock.Elapsed;
        await receiver.AllAsync.WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, ct);
        var figures = receiver.Figures();
        Console.WriteLine(
            $"{name,-32} first attempt after commit, ms: p50 {figures.Percentile(0.5),6:0.0}   p95 {figures.Percentile(0.95),6:0.0}   p99 {figures.Percentile(0.99),6:0.0}   max {figures.Percentile(1),6:0.0}"
            + $"   ({figures.Count} arrived; {count / announced.TotalSeconds:0} a second announced; {(Process.GetCurrentProcess().TotalProcessorTime - processor) / clock.Elapsed:0.00} cores here)"
            + (name == "warming up" ? "" : "   target: p99 <= 250"));
    }

    private static async Task AnnounceAsync(Transactions transactions, Receiver receiver, string tenantId, int tenant, int n, CancellationToken ct)
    {
        var caller = new Caller();
        caller.Become(tenantId, null, null, false);
        await transactions.RunAsync(
            caller,
            (scope, token) =>
            {
                scope.GetRequiredService<UnitOfWork>().AfterCommit(() => receiver.Committed(n));
                var data = JsonSerializer.Serialize(new { n, tenant, padding = Padding });
                return scope.GetRequiredService<IMediator>().Send(new Announce(tenantId, "call.completed", Ids.New(Ids.Call, TimeProvider.System.GetUtcNow()), data, false), token);
            },
            ct);
    }

    private static async Task<WebApplication> StartHostAsync(string dataDir, string database, CancellationToken ct)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = Environments.Development, ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DATABASE_URL"] = database,
            ["DATA_DIR"] = dataDir,
            ["PORT"] = FreePort(),
            ["EMBEDDED_LIVEKIT_PORT"] = FreePort(),
            ["EMBEDDED_MEDIA_UDP_PORT"] = FreePort(),
            ["EMBEDDED_SIP_PORT"] = FreePort(),
            ["EMBEDDED_SIP_RTP_PORTS"] = "0",
            ["LIVEKIT_FFI_LIBRARY"] = "unused",
        });
        builder.Logging.SetMinimumLevel(LogLevel.Error);
        var app = StartUp.Build(builder, new Settings(builder.Configuration), services => services.Remove(services.Single(s => s.ImplementationType?.Name == "AgentService")));
        await app.StartAsync(ct);
        return app;
    }

    /// <summary>A tenant for each of the receiver's paths.</summary>
    private static async Task<IReadOnlyList<string>> SignUpAsync(WebApplication host, Receiver receiver, CancellationToken ct)
    {
        using var http = new HttpClient { BaseAddress = new Uri(host.Urls.First()) };
        var tenants = new List<string>();
        for (var n = 0; n < Tenants; n++)
        {
            var tenant = await PostAsync("/auth/create-key", new { user_name = "bench", org_name = "bench", user_email = "bench@example.com" }, null);
            var key = tenant.GetProperty("data").GetProperty("api_key").GetString();
            await PostAsync("/v1/webhooks", new { url = $"{receiver.Url}/{n}" }, key);
            tenants.Add(tenant.GetProperty("data").GetProperty("tenant_id").GetString()!);
        }

        return tenants;

        async Task<JsonElement> PostAsync(string path, object body, string? key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(JsonSerializer.Serialize(body), System.Text.Encoding.UTF8, "application/json") };
            request.Headers.TryAddWithoutValidation("x-api-key", key);
            using var response = await http.SendAsync(request, ct);
            response.EnsureSuccessStatusCode();
            return JsonSerializer.Deserialize<JsonElement>(await response.Content.ReadAsStreamAsync(ct));
        }
    }

    private static string FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return $"{((IPEndPoint)socket.LocalEndPoint!).Port}";
    }

    /// <summary>The receivers of all tenants, and when what was committed and arrived.</summary>
    private sealed class Receiver : IAsyncDisposable
    {
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly WebApplication _app;
        private long[] _committed = [];
        private long[] _arrived = [];
        private int _missing;
        private TaskCompletionSource _all = new();

        private Receiver(WebApplication app) => _app = app;

        public string Url => _app.Urls.First();

        /// <summary>Whose requests hang.</summary>
        public int? HangingTenant { get; set; }

        public Task AllAsync => _all.Task;

        public static async Task<Receiver> StartAsync(CancellationToken ct)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
            var receiver = new Receiver(builder.Build());
            receiver._app.MapPost("/{tenant:int}", receiver.ReceiveAsync);
            await receiver._app.StartAsync(ct);
            return receiver;
        }

        public void Expect(int count, int skip)
        {
            (_committed, _arrived, _missing) = (new long[count], new long[count], count - skip);
            _all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        public void Committed(int n) => _committed[n] = Stopwatch.GetTimestamp();

        public void Release() => _released.SetResult();

        public Figures Figures()
        {
            var figures = new Figures();
            for (var n = 0; n < _arrived.Length; n++)
            {
                if (_arrived[n] > 0 && n % Tenants != HangingTenant)
                {
                    figures.Add(Math.Max(0, (_arrived[n] - _committed[n]) * 1000.0 / Stopwatch.Frequency));
                }
            }

            return figures;
        }

        public async ValueTask DisposeAsync() => await _app.DisposeAsync();

        private async Task<IResult> ReceiveAsync(int tenant, HttpRequest request)
        {
            var at = Stopwatch.GetTimestamp();
            if (tenant == HangingTenant)
            {
                await _released.Task.WaitAsync(Hang, TimeProvider.System, request.HttpContext.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return Results.Ok();
            }

            var body = await JsonSerializer.DeserializeAsync<JsonElement>(request.Body);
            var n = body.GetProperty("data").GetProperty("n").GetInt32();
            if (n < _arrived.Length && Interlocked.CompareExchange(ref _arrived[n], at, 0) == 0 && Interlocked.Decrement(ref _missing) == 0)
            {
                _all.TrySetResult();
            }

            return Results.Ok();
        }
    }
}
