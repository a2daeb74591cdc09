using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using VoicePlatform.Demo;

namespace VoicePlatform.Bench;

/// <summary>The whole platform in a process of its own with a private PostgreSQL, as ./run starts it, and a tenant with credits in it.</summary>
internal sealed partial class HostProcess : IAsyncDisposable
{
    private const int Terminate = 15;

    private readonly Process _process;
    private readonly string _dataDir;
    private readonly HttpClient _http;

    private HostProcess(Process process, string dataDir, HttpClient http) => (_process, _dataDir, _http, Api) = (process, dataDir, http, new Api(http, null));

    public int Pid => _process.Id;

    /// <summary>As the tenant.</summary>
    public Api Api { get; private set; }

    public static async Task<HostProcess> StartAsync(CancellationToken ct)
    {
        var dataDir = Directory.CreateTempSubdirectory("bench-").FullName;
        await Machine.RunAsync("eng/postgres", "start", dataDir);
        var port = FreePort(SocketType.Stream);
        var environment = new Dictionary<string, string>
        {
            ["DATA_DIR"] = dataDir,
            ["DATABASE_URL"] = (await Machine.RunAsync("eng/postgres", "url", dataDir)).Trim(),
            ["MIGRATE_DATABASE_URL"] = (await Machine.RunAsync("eng/postgres", "owner-url", dataDir)).Trim(),
            ["LIVEKIT_FFI_LIBRARY"] = await Machine.LibraryAsync(),
            ["PORT"] = $"{port}",
            ["EMBEDDED_LIVEKIT_PORT"] = $"{FreePort(SocketType.Stream)}",
            ["EMBEDDED_MEDIA_UDP_PORT"] = $"{FreePort(SocketType.Dgram)}",
            ["EMBEDDED_SIP_PORT"] = $"{FreePort(SocketType.Stream)}",
            ["EMBEDDED_SIP_RTP_PORTS"] = "0",
            ["RATE_LIMIT_PER_KEY"] = "off",
        };
        using (var migrate = Start(environment, dataDir, "migrate"))
        {
            await migrate.WaitForExitAsync(ct);
        }

        var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        var host = new HostProcess(Start(environment, dataDir), dataDir, http);
        try
        {
            await host.WaitUntilReadyAsync(ct);
            await host.SignUpAsync(ct);
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>An assistant of local providers that answers everything with one sentence.</summary>
    public async Task<string> CreateAssistantAsync(string greeting, string answer, CancellationToken ct) => (await Api.PostAsync("/v1/assistants", new
    {
        name = "Bench",
        greeting = new { text = greeting },
        stt = new { model = "local/pocketsphinx" },
        llm = new { model = "local/script", options = new { otherwise = answer } },
        tts = new { model = "local/flite:slt" },
        limits = new { idle_reprompt_s = 0 },
    }, ct))["id"]!.GetValue<string>();

    public async Task<(string Id, string Url, string Token)> StartSessionAsync(string assistant, string identity, CancellationToken ct)
    {
        var session = await Api.PostAsync("/v1/sessions", new { assistant_id = assistant, participant = new { identity, name = identity } }, ct);
        return (Text("id"), Text("livekit_url"), Text("token"));

        string Text(string name) => session[name]!.GetValue<string>();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _ = kill(_process.Id, Terminate);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
        _http.Dispose();
        await RemoveClusterAsync(_dataDir);
    }

    /// <summary>Brings a database that eng/postgres made to the present schema.</summary>
    public static async Task MigrateAsync(string dataDir, string owner, CancellationToken ct)
    {
        var environment = new Dictionary<string, string> { ["DATA_DIR"] = dataDir, ["DATABASE_URL"] = owner };
        using var migrate = Start(environment, dataDir, "migrate");
        await migrate.WaitForExitAsync(ct);
    }

    /// <summary>Stops a database of eng/postgres and removes all of it.</summary>
    public static async Task RemoveClusterAsync(string dataDir)
    {
        var cluster = Path.Combine(dataDir, "postgres-cluster");
        var clusterDir = File.Exists(cluster) ? (await File.ReadAllTextAsync(cluster)).Trim() : null;
        await Machine.RunAsync("eng/postgres", "stop", dataDir);
        if (clusterDir is not null && Directory.Exists(clusterDir))
        {
            await Machine.RunAsync("rm", "-rf", clusterDir);
        }

        Directory.Delete(dataDir, recursive: true);
    }

    private async Task WaitUntilReadyAsync(CancellationToken ct)
    {
        while (true)
        {
            try
            {
                using var ready = await _http.GetAsync("/health/ready", ct);
                if (ready.IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not yet.
            }

            if (_process.HasExited)
            {
                throw new InvalidOperationException($"The host stopped: {await File.ReadAllTextAsync(Path.Combine(_dataDir, "host.log"), ct)}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, ct);
        }
    }

    private async Task SignUpAsync(CancellationToken ct)
    {
        JsonNode signUp = (await Api.PostAsync("/auth/create-key", new { user_name = "Bench", org_name = "Bench", user_email = "bench@example.com" }, ct))["data"]!;
        var tenant = signUp["tenant_id"]!.GetValue<string>();
        var admin = (await File.ReadAllTextAsync(Path.Combine(_dataDir, "secrets", "platform-admin-key"), ct)).Trim();
        await Api.With(admin).PostAsync("/v1/billing/topups", new { tenant_id = tenant, amount = 1_000_000_000, external_reference = "bench" }, ct);
        Api = Api.With(signUp["api_key"]!.GetValue<string>());
    }

    private static Process Start(Dictionary<string, string> environment, string dataDir, params string[] arguments)
    {
        var program = Path.Combine(Machine.Root, "artifacts", "bin", "VoicePlatform.Host", "release", "VoicePlatform.Host.dll");
        var start = new ProcessStartInfo("sh", ["-c", $"exec dotnet '{program}' {string.Join(' ', arguments)} >>'{Path.Combine(dataDir, "host.log")}' 2>&1"]) { UseShellExecute = false };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    private static int FreePort(SocketType type)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, type, type is SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    [LibraryImport("libc")]
    private static partial int kill(int pid, int signal);
}
