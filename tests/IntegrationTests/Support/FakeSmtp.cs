using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;

namespace VoicePlatform.IntegrationTests.Support;

internal sealed record ReceivedMail(string From, string To, string? User, string Text);

/// <summary>A mail server that speaks SMTP with AUTH LOGIN, refuses as told, and keeps what it took.</summary>
internal sealed class FakeSmtp : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<ReceivedMail> _mails = Channel.CreateBounded<ReceivedMail>(100);
    private readonly Task _accepting;

    public FakeSmtp()
    {
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>How many times DATA is refused for the moment.</summary>
    public int Refusals { get; set; }

    public bool OffersTls { get; set; }

    public System.Collections.Concurrent.ConcurrentQueue<string> Commands { get; } = new();

    public (string, string)[] Settings =>
    [
        ("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", ((IPEndPoint)_listener.LocalEndpoint).Port.ToString(null, null)),
        ("SMTP_USER", "postman"), ("SMTP_PASSWORD", "secret"), ("FROM_EMAIL", "noreply@example.com"), ("FROM_NAME", "VoicePlatform"),
    ];

    public async Task<ReceivedMail> NextAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        return await _mails.Reader.ReadAsync(patience.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private static string Decoded(string mail)
    {
        var parts = mail.Split("\n\n", 2);
        return parts[0].Contains("base64", StringComparison.Ordinal) ? parts[0] + Encoding.UTF8.GetString(Convert.FromBase64String(parts[1])) : mail;
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            var client = await _listener.AcceptTcpClientAsync(_stop.Token);
            _ = ServeAsync(client);     // Ends with its connection or the server; a test looks at what it kept.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var _ = client;
        try
        {
            await using var stream = client.GetStream();
            using var reader = new StreamReader(stream, Encoding.ASCII);
            await using var writer = new StreamWriter(stream, Encoding.ASCII) { NewLine = "\r\n", AutoFlush = true };
            var (from, to, user) = ("", "", (string?)null);
            await writer.WriteLineAsync("220 fake ESMTP");
            while (await reader.ReadLineAsync(_stop.Token) is { } line)
            {
                Commands.Enqueue(line.Split(' ')[0].ToUpperInvariant());
                switch (line.Split(' ')[0].ToUpperInvariant())
                {
                    case "EHLO":
                        await writer.WriteLineAsync("250-fake");
                        if (OffersTls)
                        {
                            await writer.WriteLineAsync("250-STARTTLS");
                        }

                        await writer.WriteLineAsync("250 AUTH LOGIN");
                        break;
                    case "STARTTLS":
                        await writer.WriteLineAsync("454 TLS not available");
                        break;
                    case "AUTH":
                        var given = line.Split(' ') is [_, _, var initial] ? initial : null;
                        if (given is null)
                        {
                            await writer.WriteLineAsync("334 VXNlcm5hbWU6");
                            given = await reader.ReadLineAsync(_stop.Token);
                        }

                        await writer.WriteLineAsync("334 UGFzc3dvcmQ6");
                        var password = await reader.ReadLineAsync(_stop.Token);
                        user = $"{Encoding.ASCII.GetString(Convert.FromBase64String(given!))}:{Encoding.ASCII.GetString(Convert.FromBase64String(password!))}";
                        await writer.WriteLineAsync("235 in");
                        break;
                    case "MAIL":
                        from = line.Split('<', '>')[1];
                        await writer.WriteLineAsync("250 ok");
                        break;
                    case "RCPT":
                        to = line.Split('<', '>')[1];
                        await writer.WriteLineAsync("250 ok");
                        break;
                    case "DATA" when Refusals-- > 0:
                        await writer.WriteLineAsync("451 not now");
                        break;
                    case "DATA":
                        await writer.WriteLineAsync("354 go on");
                        var text = new StringBuilder();
                        while (await reader.ReadLineAsync(_stop.Token) is { } part && part != ".")
                        {
                            text.Append(part).Append('\n');
                        }

                        await _mails.Writer.WriteAsync(new(from, to, user, Decoded(text.ToString())), _stop.Token);
                        await writer.WriteLineAsync("250 taken");
                        break;
                    case "QUIT":
                        await writer.WriteLineAsync("221 bye");
                        return;
                    default:
                        await writer.WriteLineAsync("250 ok");
                        break;
                }
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client left.
        }
    }
}
