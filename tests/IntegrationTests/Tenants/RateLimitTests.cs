using System.Globalization;
using System.Net;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

internal sealed class RateLimitTests
{
    [Test]
    public async Task A_key_has_its_rate_and_another_key_its_own()
    {
        await using var host = await TestHost.StartAsync(("RATE_LIMIT_PER_KEY", "20/h"));
        var (busy, calm) = (await host.SignUpAsync("Busy"), await host.SignUpAsync("Calm"));

        var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => busy.GetAsync("/v1/assistants")));
        Assert.That(answers.Count(a => a.Status == HttpStatusCode.OK), Is.EqualTo(20));
        var refused = answers.First(a => a.Status != HttpStatusCode.OK);
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.TooManyRequests, "rate_limited")));
        Assert.That(int.Parse(refused.Headers["Retry-After"], CultureInfo.InvariantCulture), Is.InRange(1, 3600));
        Assert.That((refused.Headers["RateLimit-Limit"], refused.Headers["RateLimit-Remaining"]), Is.EqualTo(("20", "0")));

        var other = await calm.GetAsync("/v1/assistants");
        Assert.That((other.Status, other.Headers["RateLimit-Remaining"]), Is.EqualTo((HttpStatusCode.OK, "19")));
        Assert.That((await host.SendAsync(HttpMethod.Get, "/health", null)).Status, Is.EqualTo(HttpStatusCode.OK));
    }

    [Test]
    public async Task Permits_come_back_evenly()
    {
        await using var host = await TestHost.StartAsync(("RATE_LIMIT_PER_KEY", "5/s"));
        var tenant = await host.SignUpAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => tenant.GetAsync("/v1/assistants")));
        Assert.That(answers.Select(a => a.Status), Has.Some.EqualTo(HttpStatusCode.TooManyRequests));

        // As a client would: it waits as long as it is told.
        for (var i = 0; i < 3; i++)
        {
            var answer = await tenant.GetAsync("/v1/assistants");
            while (answer.Status == HttpStatusCode.TooManyRequests)
            {
                await Task.Delay(TimeSpan.FromSeconds(int.Parse(answer.Headers["Retry-After"], CultureInfo.InvariantCulture)), TimeProvider.System, CancellationToken.None);
                answer = await tenant.GetAsync("/v1/assistants");
            }

            Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK));
        }
    }

    [Test]
    public async Task Sign_ups_are_limited_by_address()
    {
        await using var host = await TestHost.StartAsync(("RATE_LIMIT_CREATE_KEY", "2/h"));
        await host.SignUpAsync("One");
        await host.SignUpAsync("Two");
        var third = await host.SendAsync(HttpMethod.Post, "/auth/create-key", null, new { user_name = "a", org_name = "b", user_email = "c@example.com" });
        Assert.That(third.Status, Is.EqualTo(HttpStatusCode.TooManyRequests));
    }

    [Test]
    public async Task Who_asks_is_what_a_trusted_proxy_says_and_nobody_else()
    {
        await using var behind = await TestHost.StartAsync(("RATE_LIMIT_CREATE_KEY", "1/h"), ("TRUSTED_PROXIES", "127.0.0.0/8"));
        Assert.That(await SignUpFromAsync(behind, "198.51.100.1"), Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await SignUpFromAsync(behind, "198.51.100.1"), Is.EqualTo(HttpStatusCode.TooManyRequests));
        Assert.That(await SignUpFromAsync(behind, "198.51.100.2"), Is.EqualTo(HttpStatusCode.OK));

        // The address nearest to the proxy counts: what the client wrote before it is his own word.
        Assert.That(await SignUpFromAsync(behind, "203.0.113.9, 198.51.100.2"), Is.EqualTo(HttpStatusCode.TooManyRequests));

        await using var open = await TestHost.StartAsync(("RATE_LIMIT_CREATE_KEY", "1/h"));
        Assert.That(await SignUpFromAsync(open, "198.51.100.1"), Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await SignUpFromAsync(open, "198.51.100.2"), Is.EqualTo(HttpStatusCode.TooManyRequests));
    }

    private static async Task<HttpStatusCode> SignUpFromAsync(TestHost host, string address) =>
        (await host.SendAsync(HttpMethod.Post, "/auth/create-key", null, new { user_name = "a", org_name = "b", user_email = "c@example.com" }, ("X-Forwarded-For", address))).Status;
}
