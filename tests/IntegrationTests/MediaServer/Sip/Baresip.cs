using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace VoicePlatform.IntegrationTests.MediaServer.Sip;

/// <summary>A real telephone without a head: baresip with a configuration of its own, which answers by itself.</summary>
internal sealed class Baresip : IAsyncDisposable
{
    private readonly Process _process;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("baresip");
    private readonly List<string> _lines = [];      // under its own lock
    private readonly Task _reading;

    private Baresip(string transport, string? dial)
    {
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            Port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        }

        File.WriteAllText(Path.Combine(_folder.FullName, "config"), $"""
            sip_listen 127.0.0.1:{Port}
            module_path {Modules}
            audio_source aubridge,voice
            audio_player aubridge,voice
            module aubridge.so
            module g711.so
            module_app account.so
            module_app menu.so

            """);
        File.WriteAllText(Path.Combine(_folder.FullName, "accounts"), $"<sip:alice@127.0.0.1:{Port};transport={transport}>;regint=0;answermode=auto;auth_user=alice;auth_pass=secret\n");
        File.WriteAllText(Path.Combine(_folder.FullName, "contacts"), "");
        var start = new ProcessStartInfo("baresip")
        {
            WorkingDirectory = _folder.FullName,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in (IEnumerable<string>)["-f", _folder.FullName, "-t", "30", .. dial is null ? Array.Empty<string>() : ["-e", $"/dial {dial}"]])
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            _process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Ignore("baresip is needed for the tests with it: eng/system-packages test.");
            throw;
        }

        _reading = Task.WhenAll(ReadAsync(_process.StandardOutput), ReadAsync(_process.StandardError));
    }

    public int Port { get; }

    private static string Modules { get; } = Directory.Exists("/usr/lib/baresip/modules") ? "/usr/lib/baresip/modules" : "/usr/local/lib/baresip/modules";

    public static async Task<Baresip> StartAsync(string transport = "udp", string? dial = null)
    {
        var phone = new Baresip(transport, dial);
        await phone.SaidAsync("baresip is ready");
        return phone;
    }

    public async Task SaidAsync(string text)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(15), TimeProvider.System);
        while (!Said().Any(l => l.Contains(text, StringComparison.OrdinalIgnoreCase)))
        {
            if (patience.IsCancellationRequested || _process.HasExited)
            {
                Assert.Fail($"baresip never said '{text}':\n{string.Join('\n', Said())}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _reading;
        _process.Dispose();
        _folder.Delete(recursive: true);
    }

    public List<string> Said()
    {
        lock (_lines)
        {
            return [.. _lines];
        }
    }

    private async Task ReadAsync(StreamReader from)
    {
        while (await from.ReadLineAsync() is { } line)
        {
            lock (_lines)
            {
                _lines.Add(line);
            }
        }
    }
}
