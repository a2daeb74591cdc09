using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

internal sealed class MailTests
{
    [Test]
    public async Task A_new_key_is_told_by_mail_without_the_key()
    {
        await using var smtp = new FakeSmtp();
        await using var host = await TestHost.StartAsync(smtp.Settings);
        var tenant = await host.SignUpAsync("Ada");
        var mail = await smtp.NextAsync();
        Assert.That((mail.From, mail.To, mail.User), Is.EqualTo(("noreply@example.com", "test@example.com", "postman:secret")));
        Assert.That(mail.Text, Does.Contain("API key").And.Contain(tenant.Key[^4..]));
        Assert.That(mail.Text, Does.Not.Contain(tenant.Key[4..20]));
        Assert.That(async () => await host.SqlAsync("SELECT count(*) FROM tenant.mails"), Is.Zero.After(20_000, 20));
    }

    [Test]
    public async Task A_mail_that_is_refused_for_the_moment_comes_later()
    {
        await using var smtp = new FakeSmtp { Refusals = 1 };
        await using var host = await TestHost.StartAsync(smtp.Settings);
        await host.SignUpAsync();
        Assert.That(async () => await host.SqlAsync("SELECT count(*) FROM tenant.mails WHERE attempts = 1 AND next_attempt_at BETWEEN now() + interval '1 second' AND now() + interval '1 minute'"), Is.EqualTo(1L).After(20_000, 20));
        await host.SqlAsync("UPDATE tenant.mails SET next_attempt_at = now()");
        Assert.That((await smtp.NextAsync()).To, Is.EqualTo("test@example.com"));
    }

    [Test]
    public async Task A_mail_that_nobody_takes_for_a_day_is_given_up()
    {
        await using var smtp = new FakeSmtp { Refusals = int.MaxValue };
        await using var host = await TestHost.StartAsync(smtp.Settings);
        await host.SignUpAsync();

        // Tried and put off: while it is under way, its next attempt is two minutes away.
        Assert.That(async () => await host.SqlAsync("SELECT count(*) FROM tenant.mails WHERE attempts = 1 AND next_attempt_at < now() + interval '1 minute'"), Is.EqualTo(1L).After(20_000, 20));
        await host.SqlAsync("UPDATE tenant.mails SET next_attempt_at = now(), created_at = now() - interval '25 hours'");
        Assert.That(async () => await host.SqlAsync("SELECT count(*) FROM tenant.mails"), Is.Zero.After(40_000, 100));
    }

    [Test]
    public async Task Where_TLS_is_offered_nothing_goes_without_it()
    {
        await using var smtp = new FakeSmtp { OffersTls = true };
        await using var host = await TestHost.StartAsync(smtp.Settings);
        await host.SignUpAsync();
        Assert.That(() => smtp.Commands, Does.Contain("STARTTLS").After(10_000, 20));
        Assert.That(async () => await host.SqlAsync("SELECT count(*) FROM tenant.mails WHERE attempts = 1 AND next_attempt_at > now() + interval '1 second'"), Is.EqualTo(1L).After(10_000, 20));
        Assert.That(smtp.Commands, Does.Not.Contain("AUTH").And.Not.Contain("MAIL"));
    }

    [Test]
    public async Task A_disabled_webhook_is_told_by_mail()
    {
        await using var smtp = new FakeSmtp();
        await using var host = await TestHost.StartAsync(smtp.Settings);
        var tenant = await host.SignUpAsync();
        await smtp.NextAsync();
        await using var gone = await WebhookReceiver.StartAsync((_, _) => 410);
        await tenant.PostAsync("/v1/webhooks", new { url = gone.Url });
        await tenant.AnnounceAsync("call-a");
        Assert.That((await smtp.NextAsync()).Text, Does.Contain("A webhook was disabled"));
    }

    [Test]
    public async Task Without_a_mail_server_nothing_waits_for_one()
    {
        await using var host = await TestHost.StartAsync();
        await host.SignUpAsync();
        Assert.That(await host.SqlAsync("SELECT count(*) FROM tenant.mails"), Is.Zero);
    }
}
