using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Npgsql;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.Host;

/// <summary>A setting is missing or wrong; the message says what to do, in one sentence.</summary>
internal sealed class SettingsException(string message) : Exception(message);

/// <summary>
/// The settings that the host itself needs, read from the environment (or appsettings) and checked before anything starts.
/// What only one module needs, that module reads. Secrets that nobody gave are made once and kept in DATA_DIR.
/// </summary>
internal sealed class Settings
{
    private readonly IConfiguration _configuration;

    public Settings(IConfiguration configuration)
    {
        _configuration = configuration;
        IsDevelopment = OneOf("VOICEPLATFORM_ENV", "development", "development", "production") == "development";
        DataDir = Path.GetFullPath(Text("DATA_DIR") ?? ".data");
        DatabaseUrl = Text("DATABASE_URL") ?? throw new SettingsException("DATABASE_URL is not set: give a PostgreSQL connection string, or start with ./run, which brings its own database.");
        MigrateDatabaseUrl = Text("MIGRATE_DATABASE_URL") ?? DatabaseUrl;
        Bind = Address("EMBEDDED_BIND", "127.0.0.1");
        PublicAddress = Text("EMBEDDED_PUBLIC_IP") is null ? Bind : Address("EMBEDDED_PUBLIC_IP", "");
        LiveKitPort = Port("EMBEDDED_LIVEKIT_PORT", 7880);
        MediaUdpPort = Port("EMBEDDED_MEDIA_UDP_PORT", 7882);
        SipPort = Port("EMBEDDED_SIP_PORT", 5060);
        SipRtpPorts = PortRange("EMBEDDED_SIP_RTP_PORTS", (10_000, 10_200));
        RestPort = Port("PORT", 8000);
        TrustedProxies = Networks("TRUSTED_PROXIES");
        RateLimitPerKey = Rate("RATE_LIMIT_PER_KEY", "600/min");
        RateLimitSignUp = Rate("RATE_LIMIT_CREATE_KEY", IsDevelopment ? "off" : "10/h");
        Urls = Text("URLS") ?? $"http://127.0.0.1:{RestPort}";
        LocalUrl = Local(Urls);
        PublicUrl = (Text("PUBLIC_URL") ?? Urls.Split(';')[0]).TrimEnd('/');
    }

    public bool IsDevelopment { get; }
    public string DataDir { get; }
    public string DatabaseUrl { get; }

    /// <summary>The owner's connection, for `migrate`.</summary>
    public string MigrateDatabaseUrl { get; }

    public IPAddress Bind { get; }
    public IPAddress PublicAddress { get; }
    public int RestPort { get; }
    public int LiveKitPort { get; }
    public int MediaUdpPort { get; }

    /// <summary>UDP and TCP.</summary>
    public int SipPort { get; }

    /// <summary>First and last UDP port of telephones' audio; two a call.</summary>
    public (int First, int Last) SipRtpPorts { get; }

    /// <summary>Whose X-Forwarded-For and X-Forwarded-Proto are believed.</summary>
    public IReadOnlyList<IPNetwork> TrustedProxies { get; }

    /// <summary>Null: no limit.</summary>
    public RateLimit? RateLimitPerKey { get; }

    /// <summary>Keys made by POST /auth/create-key, by address. Null: no limit.</summary>
    public RateLimit? RateLimitSignUp { get; }
    public string Urls { get; }
    public string PublicUrl { get; }

    /// <summary>Where this process finds itself: the first of the URLs, by loopback where it says "any address".</summary>
    public string LocalUrl { get; }

    /// <summary>No LIVEKIT_URL: the media server runs in this process.</summary>
    public bool IsEmbedded => Text("LIVEKIT_URL") is null;

    public string LiveKitPublicUrl => Text("LIVEKIT_PUBLIC_URL") ?? Text("LIVEKIT_URL") ?? $"ws://{PublicAddress}:{LiveKitPort}";

    public LiveKitServer LiveKit()
    {
        var key = Text("LIVEKIT_API_KEY");
        var secret = Text("LIVEKIT_API_SECRET");
        if ((key is null) != (secret is null))
        {
            throw new SettingsException("LIVEKIT_API_KEY and LIVEKIT_API_SECRET belong together: set both or neither.");
        }

        if (key is null && !IsEmbedded)
        {
            throw new SettingsException("LIVEKIT_URL is set, so LIVEKIT_API_KEY and LIVEKIT_API_SECRET are needed too.");
        }

        try
        {
            return LiveKitServer.Create(
                Text("LIVEKIT_URL") ?? $"ws://{Bind}:{LiveKitPort}",
                new ApiKey(key ?? Kept("livekit-key", () => "API" + Random(6)), secret ?? Kept("livekit-secret", () => Random(32))));
        }
        catch (ArgumentException e)
        {
            throw new SettingsException($"LIVEKIT_URL is wrong: {e.Message.Split(" (Parameter", 2)[0]}");
        }
    }

    /// <summary>The embedded server can only bind to an address that this machine has.</summary>
    public void CheckBind()
    {
        try
        {
            using var probe = new Socket(Bind.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            probe.Bind(new IPEndPoint(Bind, 0));
        }
        catch (SocketException e)
        {
            throw new SettingsException($"EMBEDDED_BIND is '{Bind}', which cannot be bound ({e.Message}): set it to an address of this machine.");
        }
    }

    /// <summary>The key that encrypts secrets at rest, and the one before it while rotating.</summary>
    public SecretBox SecretBox()
    {
        var current = Text("SECRETS_KEY");
        if (current is null && !IsDevelopment)
        {
            throw new SettingsException("SECRETS_KEY is needed in production: a text of at least 32 random characters that encrypts secrets at rest.");
        }

        if (current is { Length: < 32 })
        {
            throw new SettingsException("SECRETS_KEY is too short: at least 32 characters.");
        }

        return new SecretBox(current ?? Kept("secrets-key", () => Random(32)), Text("SECRETS_KEY_PREVIOUS"));
    }

    public string PlatformAdminKey() => Text("PLATFORM_ADMIN_KEY") ?? Kept("platform-admin-key", () => "lvp_" + Random(32));

    public static NpgsqlDataSource DataSource(string connectionString)
    {
        try
        {
            var builder = new NpgsqlDataSourceBuilder(ToKeywords(connectionString)) { Name = "voiceplatform" };

            // A database that hangs is known within seconds, unless the operator says otherwise; what may take long says so where it is asked.
            builder.ConnectionStringBuilder.Timeout = Given("Timeout") ? builder.ConnectionStringBuilder.Timeout : 5;
            builder.ConnectionStringBuilder.CommandTimeout = Given("Command Timeout") ? builder.ConnectionStringBuilder.CommandTimeout : 10;

            // Statements that come again are prepared; and a connection that has prepared ones keeps, when it goes back to the pool, the plans of what the
            // database's functions ask, which are else made anew for every transaction.
            builder.ConnectionStringBuilder.MaxAutoPrepare = Given("Max Auto Prepare") ? builder.ConnectionStringBuilder.MaxAutoPrepare : 100;

            // A burst waits for a connection rather than making more than the processors can work on: each is a process that plans everything anew, and while
            // those begin, what is on its way stands still. A database on a larger machine: Maximum Pool Size.
            builder.ConnectionStringBuilder.MaxPoolSize = Given("Maximum Pool Size") ? builder.ConnectionStringBuilder.MaxPoolSize : Math.Clamp(Environment.ProcessorCount * 8, 16, 64);
            return builder.Build();

            bool Given(string keyword) => builder.ConnectionStringBuilder.ShouldSerialize(keyword);
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            throw new SettingsException($"DATABASE_URL is no connection string that can be read: {e.Message}");
        }
    }

    /// <summary>Npgsql speaks keywords; everybody else writes postgresql://user:password@host:port/database.</summary>
    internal static string ToKeywords(string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("postgres" or "postgresql"))
        {
            return url;
        }

        var credentials = uri.UserInfo.Split(':', 2);
        var builder = new NpgsqlConnectionStringBuilder
        {
            Host = uri.Host,
            Port = uri.IsDefaultPort ? 5432 : uri.Port,
            Username = Uri.UnescapeDataString(credentials[0]),
            Database = Uri.UnescapeDataString(uri.AbsolutePath.Trim('/')),
        };
        if (credentials.Length > 1)
        {
            builder.Password = Uri.UnescapeDataString(credentials[1]);
        }

        foreach (var pair in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, value) = pair.Split('=', 2) is [var n, var v] ? (n, v) : (pair, "");
            builder[name == "sslmode" ? "SSL Mode" : Uri.UnescapeDataString(name)] = Uri.UnescapeDataString(value);
        }

        return builder.ConnectionString;
    }

    private static string Random(int bytes) => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(bytes));

    private string? Text(string name) => _configuration[name] is { Length: > 0 } value ? value : null;

    private string OneOf(string name, string fallback, params string[] allowed)
    {
        var value = Text(name) ?? fallback;
        return allowed.Contains(value) ? value : throw new SettingsException($"{name} is '{value}'; set it to {string.Join(" or ", allowed)}.");
    }

    private static string Local(string urls)
    {
        var local = urls.Split(';').Select(url =>
        {
            try
            {
                var address = BindingAddress.Parse(url.Trim());
                var host = address.Host is "*" or "+" or "0.0.0.0" or "[::]" ? "127.0.0.1" : address.Host;
                return address.Scheme is "http" or "https" ? $"{address.Scheme}://{host}:{address.Port}" : throw new FormatException();
            }
            catch (FormatException)
            {
                throw new SettingsException($"URLS has '{url}'; write URLs like http://127.0.0.1:8000, separated by semicolons.");
            }
        }).ToList();
        return local[0];
    }

    private List<IPNetwork> Networks(string name) => (Text(name) ?? "")
        .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        .Select(range => IPNetwork.TryParse(range.Contains('/', StringComparison.Ordinal) ? range : range + (range.Contains(':', StringComparison.Ordinal) ? "/128" : "/32"), out var network)
            ? network
            : throw new SettingsException($"{name} has '{range}'; write addresses or ranges like 10.0.0.0/8, separated by commas."))
        .ToList();

    private RateLimit? Rate(string name, string fallback) =>
        RateLimit.TryParse(Text(name) ?? fallback, out var limit) ? limit : throw new SettingsException($"{name} is '{Text(name)}'; set it to a rate like 600/min, 10/h or 5/s, or to off.");

    private int Port(string name, int fallback) =>
        Text(name) is not { } text ? fallback
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536 ? port
        : throw new SettingsException($"{name} is '{text}'; set it to a port from 1 to 65535.");

    /// <summary>As "10000-10200"; "0" leaves the choice to the system.</summary>
    private (int First, int Last) PortRange(string name, (int First, int Last) fallback)
    {
        if (Text(name) is not { } text)
        {
            return fallback;
        }

        if (text == "0")
        {
            return (0, 0);
        }

        return text.Split('-') is [var low, var high]
            && int.TryParse(low, NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            && int.TryParse(high, NumberStyles.None, CultureInfo.InvariantCulture, out var last)
            && first is > 0 and < 65535 && last is < 65536 && last > first
            ? (first, last)
            : throw new SettingsException($"{name} is '{text}'; set it to a range of ports, as in 10000-10200.");
    }

    private IPAddress Address(string name, string fallback) =>
        IPAddress.TryParse(Text(name) ?? fallback, out var address) ? address : throw new SettingsException($"{name} is '{Text(name)}'; set it to an IP address.");

    /// <summary>Made at the first start, kept for the next ones, readable by this user only.</summary>
    private string Kept(string name, Func<string> make)
    {
        var file = Path.Combine(DataDir, "secrets", name);
        try
        {
            if (!File.Exists(file))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                var fresh = $"{file}.{Environment.ProcessId}";
                File.WriteAllText(fresh, make());
                if (!OperatingSystem.IsWindows())
                {
                    File.SetUnixFileMode(fresh, UnixFileMode.UserRead | UnixFileMode.UserWrite);
                }

                try
                {
                    File.Move(fresh, file, overwrite: false);
                }
                catch (IOException) when (File.Exists(file))
                {
                    File.Delete(fresh);     // Another start was first: its secret holds.
                }
            }

            return File.ReadAllText(file).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SettingsException($"DATA_DIR ({DataDir}) cannot be written: {e.Message.TrimEnd('.')}.");
        }
    }
}
