using System.Net;
using System.Net.Sockets;
using System.Text;
using MediatR;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>What the one door to tenants' servers lets through. 127.0.0.0/8 stands for the outside, where OUTBOUND_ALLOW_PRIVATE lets it.</summary>
internal sealed class OutboundTests
{
    private TestHost _host = null!;

    [SetUp]
    public async Task SetUpAsync() => _host = await TestHost.SharedAsync(("OUTBOUND_ALLOW_PRIVATE", "127.0.0.1/32"));

    [TestCase("http://127.0.0.2:9/")]
    [TestCase("http://[::ffff:10.0.0.1]/")]
    [TestCase("http://[::1]/")]
    [TestCase("http://[64:ff9b::a00:1]/")]
    [TestCase("http://[2002:a00:1::1]/")]
    [TestCase("http://0xa9fea9fe/latest/meta-data")]
    [TestCase("http://2852039166/latest/meta-data")]
    [TestCase("http://0251.0376.0251.0376/")]
    [TestCase("http://0/")]
    [TestCase("file:///etc/passwd")]
    [TestCase("gopher://example.com/")]
    public async Task An_address_that_is_not_ours_to_reach_is_refused_however_it_is_written(string url)
    {
        await using var scope = _host.Services.CreateAsyncScope();
        var mediator = scope.ServiceProvider.GetRequiredService<IMediator>();
        Assert.That((await mediator.Send(new CheckTenantUrl(url))).Value.Refusal, Is.Not.Null);
        Assert.That((await AskAsync(url)).IsOk, Is.False);
    }

    [Test]
    public async Task A_name_that_leads_to_a_private_address_is_not_called()
    {
        // localhost is 127.0.0.1, which is allowed here, and ::1, which is not.
        await using var host = await TestHost.StartAsync(("OUTBOUND_ALLOW_PRIVATE", "10.0.0.0/8"));
        await using var receiver = await WebhookReceiver.StartAsync();
        var answer = await AskAsync(receiver.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal), on: host);
        Assert.That(answer.Error!.Message, Does.Contain("may reach"));
        Assert.That(receiver.IsEmpty, Is.True);
    }

    [TestCase("http://169.254.169.254/latest/meta-data")]
    [TestCase("http://127.0.0.2:9/")]
    [TestCase("ftp://127.0.0.1/")]
    public async Task A_redirect_to_where_nothing_may_go_is_not_followed(string location)
    {
        await using var receiver = await WebhookReceiver.StartAsync((_, _, http) =>
        {
            http.Response.Headers.Location = location;
            return Task.FromResult(Results.StatusCode(307));
        });
        var answer = await AskAsync(receiver.Url, follow: true);
        Assert.That(answer.IsOk, Is.False);
        Assert.That(answer.Error!.Message, Does.Contain("may reach").Or.Contain("less safe"));
    }

    [Test]
    public async Task Three_redirects_are_followed_and_not_a_fourth_and_headers_stay_with_their_server()
    {
        await using var last = await WebhookReceiver.StartAsync((_, _, http) => Task.FromResult(Results.Text(http.Request.Headers["x-secret"] + "|" + http.Request.Method)));
        await using var first = await WebhookReceiver.StartAsync((_, _, http) =>
        {
            var left = int.Parse(http.Request.Query["left"].ToString(), null);
            http.Response.Headers.Location = left > 1 ? $"/hook?left={left - 1}" : last.Url;
            return Task.FromResult(Results.StatusCode(308));
        });
        var three = await AskAsync($"{first.Url}?left=3", follow: true);
        Assert.That(three.IsOk ? three.Value.Text : three.Error!.Message, Is.EqualTo("|POST"));
        Assert.That((await AskAsync($"{first.Url}?left=4", follow: true)).Error!.Message, Does.Contain("more than 3"));
        Assert.That((await AskAsync($"{first.Url}?left=1")).Error!.Message, Does.Contain("308"));
        Assert.That((await AskAsync(last.Url)).Value.Text, Is.EqualTo("hidden|POST"));
    }

    [Test]
    public async Task An_answer_that_is_too_long_is_cut()
    {
        await using var receiver = await WebhookReceiver.StartAsync((_, _, _) => Task.FromResult(Results.Text(new string('x', 2_000_000))));
        Assert.That((await AskAsync(receiver.Url)).IsOk, Is.False);
    }

    [Test]
    public async Task An_answer_that_drips_is_cut()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var stop = new CancellationTokenSource();
        var dripping = DripAsync(listener, stop.Token);
        var answer = await AskAsync($"http://{listener.LocalEndpoint}/", atMost: TimeSpan.FromSeconds(1));
        Assert.That(answer.Error!.Message, Does.Contain("no answer within 1 s"));
        await stop.CancelAsync();
        await dripping.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static async Task DripAsync(TcpListener listener, CancellationToken ct)
    {
        using var client = await listener.AcceptTcpClientAsync(ct);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), ct);
        while (true)
        {
            await stream.WriteAsync("x"u8.ToArray(), ct);
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, ct);
        }
    }

    private async Task<Result<TenantAnswer>> AskAsync(string url, bool follow = false, TimeSpan? atMost = null, TestHost? on = null)
    {
        await using var scope = (on ?? _host).Services.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new AskTenantServer(
            "ten", url, "{}", atMost ?? TimeSpan.FromSeconds(10), 100_000, Headers: [new("x-secret", "hidden")], FollowsRedirects: follow));
    }
}
