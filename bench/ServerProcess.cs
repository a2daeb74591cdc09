using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer;
using VoicePlatform.MediaServer.Sip.Media;

namespace VoicePlatform.Bench;

/// <summary>The embedded media server alone in a process of its own, so that its use of the processor can be told from its clients'.</summary>
internal sealed class ServerProcess : IDisposable
{
    public const string Verb = "serve";

    private static readonly ApiKey Key = new("bench", "a secret of at least thirty-two bytes");

    private readonly Process _process;

    private ServerProcess(Process process, string url, int sipPort) => (_process, Url, SipPort) = (process, url, sipPort);

    public string Url { get; }

    public int SipPort { get; }

    public int Pid => _process.Id;

    public static async Task<ServerProcess> StartAsync(CancellationToken ct)
    {
        var process = Process.Start(new ProcessStartInfo("dotnet", [typeof(ServerProcess).Assembly.Location, Verb])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        var url = await process.StandardOutput.ReadLineAsync(ct) ?? throw new InvalidOperationException("The media server did not start.");
        var sip = await process.StandardOutput.ReadLineAsync(ct) ?? throw new InvalidOperationException("The media server did not start.");
        return new ServerProcess(process, url, int.Parse(sip, null));
    }

    /// <summary>In the process: serves until its input ends; every line of it is answered with the sums of the telephones' statistics.</summary>
    public static async Task ServeAsync(CancellationToken ct)
    {
        var options = new MediaServerOptions
        {
            ApiKeys = new Dictionary<string, string> { [Key.Id] = Key.Secret },
            Port = 0,
            MediaUdpPort = 0,
            Sip = new SipOptions { Port = 0, RtpPorts = (0, 0) },
        };
        await using var server = new EmbeddedServer(options, TimeProvider.System, NullLoggerFactory.Instance);
        await server.StartAsync(ct);
        Console.WriteLine(server.Url);
        Console.WriteLine(server.SipPort);
        while (await Console.In.ReadLineAsync(ct) is not null)
        {
            Console.WriteLine(JsonSerializer.Serialize(server.TelephoneStatistics));
        }
    }

    public LiveKitServer Server => LiveKitServer.Create(Url, Key);

    public async Task<IReadOnlyList<PhoneStatistics>> AskTelephonesAsync(CancellationToken ct)
    {
        await _process.StandardInput.WriteLineAsync("telephones".AsMemory(), ct);
        return JsonSerializer.Deserialize<List<PhoneStatistics>>(await _process.StandardOutput.ReadLineAsync(ct) ?? "[]") ?? [];
    }

    public static string Token(string room, string identity) =>
        new AccessToken { Identity = identity, Video = new VideoGrant { RoomJoin = true, Room = room } }.Sign(Key, TimeProvider.System.GetUtcNow());

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(5000))
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}
