using System.Net;
using System.Net.Sockets;
using System.Text;
using VoicePlatform.IntegrationTests.Calls;

namespace VoicePlatform.IntegrationTests.Trunks;

/// <summary>POST /v1/trunks/{id}/test against a provider of a few lines.</summary>
internal sealed class TestTrunkTests
{
    private PhoneBench _bench = null!;

    [SetUp]
    public async Task SetUpAsync() => _bench = await PhoneBench.StartAsync();

    [TearDown]
    public async Task TearDownAsync() => await _bench.DisposeAsync();

    [Test]
    public async Task A_provider_that_answers_and_takes_the_password_is_fine()
    {
        using var provider = new Provider(request => request.Contains("Proxy-Authorization: Digest username=\"user\"", StringComparison.Ordinal)
            ? "200 OK\r\nContent-Type: application/sdp"
            : "407 Proxy Authentication Required\r\nProxy-Authenticate: Digest realm=\"sip\", nonce=\"n1\", qop=\"auth\"");
        var (ok, checks) = await TestAsync(provider.Address, "udp", new { username = "user", password = "secret" });
        Assert.That(ok, Is.True, string.Join('\n', checks));
        Assert.That(checks.Select(c => c.Name), Is.EqualTo(new[] { "dns", "connect", "options", "credentials", "codec", "livekit" }));
    }

    [Test]
    public async Task A_password_that_is_refused_is_called_that()
    {
        using var provider = new Provider(_ => "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"sip\", nonce=\"n1\"");
        var (ok, checks) = await TestAsync(provider.Address, "udp", new { username = "user", password = "wrong" });
        Assert.That(ok, Is.False);
        Assert.That(checks.Single(c => !c.Ok), Is.EqualTo(new Look("credentials", false, "The provider refuses user name and password (401 Unauthorized).")));
    }

    [Test]
    public async Task A_provider_that_says_nothing_is_not_mistaken_for_one_that_does()
    {
        using var silent = new Provider(_ => null);
        var (ok, checks) = await TestAsync(silent.Address, "udp", null);
        Assert.That((ok, checks.First(c => !c.Ok).Name), Is.EqualTo((false, "options")));
    }

    [Test]
    public async Task A_port_where_nobody_listens_is_a_failed_connection()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var (ok, checks) = await TestAsync($"{socket.LocalEndPoint}", "tcp", null);
        Assert.That((ok, checks.First(c => !c.Ok).Name), Is.EqualTo((false, "connect")));
    }

    [Test]
    public async Task A_tls_port_that_speaks_no_tls_is_told_apart()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var answering = Task.Run(async () =>
        {
            using var client = await listener.AcceptTcpClientAsync();
            await client.GetStream().WriteAsync("SIP/2.0 400 Bad\r\n\r\n"u8.ToArray());
            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
        });
        var (ok, checks) = await TestAsync($"{listener.LocalEndpoint}", "tls", null);
        Assert.That((ok, checks.First(c => !c.Ok).Name), Is.EqualTo((false, "tls")));
        await answering;
    }

    [Test]
    public async Task A_name_that_does_not_exist_is_the_first_thing_said()
    {
        var (ok, checks) = await TestAsync("no-such-host.invalid", "udp", null);
        Assert.That((ok, checks[0].Name, checks[0].Ok), Is.EqualTo((false, "dns", false)));
    }

    private async Task<(bool Ok, List<Look> Checks)> TestAsync(string address, string transport, object? auth)
    {
        var trunk = (await _bench.Tenant.PostAsync("/v1/trunks", new { name = "T", address, transport, numbers = new[] { PhoneBench.From }, auth })).Get<string>("id");
        Assert.That(async () => (await _bench.Tenant.GetAsync($"/v1/trunks/{trunk}")).Body!["sync"]!["status"]!.GetValue<string>(), Is.EqualTo("synced").After(20_000, 50));
        var answer = await _bench.Tenant.PostAsync($"/v1/trunks/{trunk}/test");
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK), answer.Body?.ToJsonString());
        return (answer.Get<bool>("ok"), answer.Body!["checks"]!.AsArray()
            .Select(c => new Look(c!["name"]!.GetValue<string>(), c["ok"]!.GetValue<bool>(), c["message"]!.GetValue<string>())).ToList());
    }

    private sealed record Look(string Name, bool Ok, string Message);

    /// <summary>Answers datagrams with a status line and headers; null is silence.</summary>
    private sealed class Provider : IDisposable
    {
        private readonly UdpClient _udp = new(new IPEndPoint(IPAddress.Loopback, 0));

        public Provider(Func<string, string?> answer) => _ = Task.Run(async () =>
        {
            try
            {
                while (true)
                {
                    var received = await _udp.ReceiveAsync();
                    var request = Encoding.UTF8.GetString(received.Buffer);
                    if (answer(request) is { } text)
                    {
                        var echoed = string.Join("\r\n", request.Split("\r\n").Where(l => l.StartsWith("Via", StringComparison.Ordinal) || l.StartsWith("Call-ID", StringComparison.Ordinal)
                            || l.StartsWith("CSeq", StringComparison.Ordinal) || l.StartsWith("From", StringComparison.Ordinal) || l.StartsWith("To", StringComparison.Ordinal)));
                        await _udp.SendAsync(Encoding.UTF8.GetBytes($"SIP/2.0 {text}\r\n{echoed}\r\nContent-Length: 0\r\n\r\n"), received.RemoteEndPoint);
                    }
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        });

        public string Address => _udp.Client.LocalEndPoint!.ToString()!;

        public void Dispose() => _udp.Dispose();
    }
}
