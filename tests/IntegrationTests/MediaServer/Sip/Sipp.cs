using System.Diagnostics;
using System.Net.Sockets;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.IntegrationTests.MediaServer.Sip;

/// <summary>SIPp, playing one of our scenarios as caller or callee.</summary>
internal sealed class Sipp : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("sipp");
    private readonly Task<string> _output;
    private readonly Task<string> _errors;

    private Sipp(string scenario, SipTransport transport, IReadOnlyList<string> more)
    {
        Port = PeerPorts.Take();
        var start = new ProcessStartInfo("sipp")
        {
            WorkingDirectory = _folder.FullName,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in (IEnumerable<string>)[
            "-sf", Path.Combine(Scenarios, scenario + ".xml"), "-i", "127.0.0.1", "-p", $"{Port}", "-mp", $"{PeerPorts.Take()}",
            "-t", transport == SipTransport.Tcp ? "t1" : "u1", "-m", "1", "-l", "1", "-timeout", "15", "-timeout_error", "-trace_err", "-trace_msg", "-nostdin", .. more])
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            _process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Ignore("SIPp is needed for the tests with it: eng/system-packages test.");
            throw;
        }

        Transport = transport;
        _output = _process.StandardOutput.ReadToEndAsync();
        _errors = _process.StandardError.ReadToEndAsync();
    }

    public int Port { get; }

    public SipTransport Transport { get; }

    public SipUri Uri => SipUri.Parse($"sip:+15550199@127.0.0.1:{Port}{(Transport == SipTransport.Tcp ? ";transport=tcp" : "")}");

    private static string Scenarios { get; } = FindScenarios();

    /// <summary>Waits for calls; ready when it answers on its port.</summary>
    public static async Task<Sipp> CalleeAsync(string scenario, SipTransport transport = SipTransport.Udp, params string[] more)
    {
        var sipp = new Sipp(scenario, transport, more);
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        while (!PeerPorts.IsTaken(sipp.Port, transport == SipTransport.Udp ? SocketType.Dgram : SocketType.Stream))
        {
            Assert.That(sipp._process.HasExited, Is.False, "SIPp has ended: " + (sipp._process.HasExited ? await sipp._errors : ""));
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, patience.Token);
        }

        return sipp;
    }

    public static Sipp Caller(string scenario, int port, SipTransport transport = SipTransport.Udp, params string[] more) =>
        new(scenario, transport, ["-s", "+15550199", $"127.0.0.1:{port}", .. more]);

    /// <summary>Waits for its end and fails with what it saw unless everything went by the scenario.</summary>
    public async Task SucceededAsync()
    {
        using var patience = new CancellationTokenSource(Patience, TimeProvider.System);
        await _process.WaitForExitAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Assert.That(_process.HasExited, Is.True, "SIPp did not end.");
        if (_process.ExitCode != 0)
        {
            var logs = string.Join('\n', _folder.GetFiles("*.log").Select(f => File.ReadAllText(f.FullName)));
            Assert.Fail($"SIPp ended with {_process.ExitCode}.\n{await _errors}\n{logs}\n{(await _output).Split('\n').TakeLast(30).Aggregate("", (a, b) => a + "\n" + b)}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await Task.WhenAll(_output, _errors);
        _process.Dispose();
        _folder.Delete(recursive: true);
    }

    private static string FindScenarios()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "VoicePlatform.sln")))
        {
            folder = folder.Parent;
        }

        return Path.Combine(folder?.FullName ?? ".", "tests", "IntegrationTests", "MediaServer", "Sip", "scenarios");
    }
}
