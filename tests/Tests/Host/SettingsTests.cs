using Microsoft.Extensions.Configuration;
using Npgsql;
using VoicePlatform.Billing;
using VoicePlatform.Host;

namespace VoicePlatform.Tests.Host;

internal sealed class SettingsTests
{
    [TestCase("postgresql://ada:secret@db.example:6543/voice", "db.example", 6543, "ada", "secret", "voice")]
    [TestCase("postgres://ada@db.example/voice", "db.example", 5432, "ada", null, "voice")]
    [TestCase("postgresql://a%40b:p%3Aw%2Fd@db/voice%20db", "db", 5432, "a@b", "p:w/d", "voice db")]
    [TestCase("postgresql://ada:a:b@db/voice", "db", 5432, "ada", "a:b", "voice")]
    public void A_url_of_a_database_says_the_same_as_keywords(string url, string host, int port, string user, string? password, string database)
    {
        var keywords = new NpgsqlConnectionStringBuilder(Settings.ToKeywords(url));

        Assert.That((keywords.Host, keywords.Port, keywords.Username, keywords.Password, keywords.Database), Is.EqualTo((host, port, user, password, database)));
    }

    [Test]
    public void What_a_url_asks_for_beside_is_taken_over() =>
        Assert.That(new NpgsqlConnectionStringBuilder(Settings.ToKeywords("postgresql://ada@db/voice?sslmode=require")).SslMode, Is.EqualTo(SslMode.Require));

    [Test]
    public void Keywords_are_left_as_they_are() =>
        Assert.That(Settings.ToKeywords("Host=/tmp/s;Username=ada"), Is.EqualTo("Host=/tmp/s;Username=ada"));

    [TestCase("nonsense")]
    [TestCase("Host=db;Nonsense=1")]
    [TestCase("postgresql://ada@db/voice?nonsense=1")]
    [TestCase("postgresql://ada@db/voice?sslmode=sometimes")]
    public void A_connection_string_that_cannot_be_read_is_refused_by_name(string text) =>
        Assert.That(() => Settings.DataSource(text), Throws.InstanceOf<SettingsException>().With.Message.Contains("DATABASE_URL"));

    [TestCase("PORT", "0")]
    [TestCase("PORT", "65536")]
    [TestCase("PORT", "-1")]
    [TestCase("PORT", "8000 ")]
    [TestCase("PORT", "eight thousand")]
    [TestCase("EMBEDDED_LIVEKIT_PORT", "x")]
    [TestCase("EMBEDDED_MEDIA_UDP_PORT", "x")]
    [TestCase("EMBEDDED_SIP_PORT", "x")]
    [TestCase("EMBEDDED_SIP_RTP_PORTS", "10000")]
    [TestCase("EMBEDDED_SIP_RTP_PORTS", "10200-10000")]
    [TestCase("EMBEDDED_SIP_RTP_PORTS", "1-70000")]
    [TestCase("EMBEDDED_BIND", "localhost")]
    [TestCase("EMBEDDED_PUBLIC_IP", "example.com")]
    [TestCase("VOICEPLATFORM_ENV", "staging")]
    public void A_wrong_setting_is_refused_by_name_and_value(string name, string value) =>
        Assert.That(() => Read((name, value)), Throws.InstanceOf<SettingsException>().With.Message.Contains(name).And.Message.Contains($"'{value}'"));

    [TestCase("-1")]
    [TestCase("1.5")]
    [TestCase("ten")]
    [TestCase("1000000001")]
    public void A_threshold_of_credits_that_cannot_be_stops_the_start_with_a_sentence(string value)
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["BILLING_LOW_BALANCE"] = value });
        var wrong = Assert.Throws<InvalidOperationException>(() => builder.AddBilling())!;
        Assert.That(StartUp.Explain(wrong), Does.StartWith($"BILLING_LOW_BALANCE is '{value}'"));
    }

    [Test]
    public void Without_a_database_there_is_no_start() =>
        Assert.That(() => new Settings(new ConfigurationBuilder().Build()), Throws.InstanceOf<SettingsException>().With.Message.Contains("DATABASE_URL"));

    [Test]
    public void Defaults_are_for_one_machine()
    {
        var settings = Read();

        Assert.That((settings.RestPort, settings.LiveKitPort, settings.MediaUdpPort), Is.EqualTo((8000, 7880, 7882)));
        Assert.That((settings.Urls, settings.PublicUrl, settings.LiveKitPublicUrl), Is.EqualTo(("http://127.0.0.1:8000", "http://127.0.0.1:8000", "ws://127.0.0.1:7880")));
        Assert.That(settings.IsEmbedded);
    }

    [Test]
    public void Somewhere_else_is_told_by_the_public_addresses()
    {
        var settings = Read(("PUBLIC_URL", "https://voice.example/"), ("LIVEKIT_URL", "wss://media.internal"), ("LIVEKIT_PUBLIC_URL", "wss://media.example"));

        Assert.That((settings.PublicUrl, settings.LiveKitPublicUrl, settings.IsEmbedded), Is.EqualTo(("https://voice.example", "wss://media.example", false)));
    }

    [TestCase("LIVEKIT_API_KEY", "APIkey", "LIVEKIT_API_SECRET")]
    [TestCase("LIVEKIT_API_SECRET", "secret", "LIVEKIT_API_KEY")]
    [TestCase("LIVEKIT_URL", "wss://media.example", "LIVEKIT_API_KEY")]
    public void Half_of_the_credentials_for_livekit_are_refused(string name, string value, string missing) =>
        Assert.That(() => Read((name, value)).LiveKit(), Throws.InstanceOf<SettingsException>().With.Message.Contains(missing));

    [Test]
    public void Production_asks_for_the_key_that_encrypts_secrets() =>
        Assert.That(() => Read(("VOICEPLATFORM_ENV", "production")).SecretBox(), Throws.InstanceOf<SettingsException>().With.Message.Contains("SECRETS_KEY"));

    [Test]
    public void A_short_key_is_refused() =>
        Assert.That(() => Read(("SECRETS_KEY", "short")).SecretBox(), Throws.InstanceOf<SettingsException>().With.Message.Contains("SECRETS_KEY"));

    [Test]
    [Platform("Linux", Reason = "Permissions of files.")]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public void A_secret_that_nobody_gave_is_made_once_and_readable_by_its_owner_only()
    {
        var data = Directory.CreateTempSubdirectory("vp-settings");
        try
        {
            var first = Read(("DATA_DIR", data.FullName)).PlatformAdminKey();
            var file = Path.Combine(data.FullName, "secrets", "platform-admin-key");

            Assert.That(Read(("DATA_DIR", data.FullName)).PlatformAdminKey(), Is.EqualTo(first));
            Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    [TestCase("Host=db", 100, null)]
    [TestCase("Host=db;Max Auto Prepare=0;Maximum Pool Size=7", 0, 7)]
    [TestCase("Host=db;MaxPoolSize=100", 100, 100)]
    [TestCase("postgresql://ada@db/voice?Maximum%20Pool%20Size=7&Max%20Auto%20Prepare=3", 3, 7)]
    public async Task Statements_are_prepared_and_connections_few_unless_the_operator_says_otherwise(string text, int prepared, int? connections)
    {
        await using var source = Settings.DataSource(text);
        var kept = new NpgsqlConnectionStringBuilder(source.ConnectionString);
        Assert.That((kept.MaxAutoPrepare, kept.MaxPoolSize), Is.EqualTo((prepared, connections ?? Math.Clamp(Environment.ProcessorCount * 8, 16, 64))));
    }

    private static Settings Read(params (string Name, string Value)[] values) =>
        new(new ConfigurationBuilder().AddInMemoryCollection(
            values.Prepend((Name: "DATABASE_URL", Value: "Host=db")).GroupBy(v => v.Name).Select(g => new KeyValuePair<string, string?>(g.Key, g.Last().Value))).Build());
}
