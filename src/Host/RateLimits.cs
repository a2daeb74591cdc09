using System.Globalization;
using System.Threading.RateLimiting;

namespace VoicePlatform.Host;

/// <summary>So many requests in a window; null in the settings means no limit.</summary>
internal sealed record RateLimit(int Permits, TimeSpan Window)
{
    /// <summary>"600/min", "10/h", "5/s", or "off".</summary>
    public static bool TryParse(string text, out RateLimit? limit)
    {
        limit = null;
        if (text == "off")
        {
            return true;
        }

        TimeSpan? window = text.Split('/') is [_, var unit] ? unit switch { "s" => TimeSpan.FromSeconds(1), "min" => TimeSpan.FromMinutes(1), "h" => TimeSpan.FromHours(1), _ => null } : null;
        if (window is null || !int.TryParse(text.Split('/')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var permits) || permits is < 1 or > 1_000_000)
        {
            return false;
        }

        limit = new RateLimit(permits, window.Value);
        return true;
    }
}

/// <summary>
/// Limits requests by key, by address where a door needs no key, and sign-ups by address. A bucket holds one window's worth and fills up evenly,
/// so that a burst is fine and a stream is held to the rate. Counted in this process: several hosts behind one address each give the limit.
/// </summary>
internal sealed class RateLimits(RateLimit? perKey, RateLimit? signUps) : IDisposable
{
    private const string SignUpPath = "/auth/create-key";

    private readonly PartitionedRateLimiter<string>? _perKey = Buckets(perKey);
    private readonly PartitionedRateLimiter<string>? _signUps = Buckets(signUps);

    public async Task InvokeAsync(HttpContext context, Func<HttpContext, Task> next)
    {
        // Who asks for no endpoint, and health and documents, cost nothing worth a limit.
        if (context.GetEndpoint() is null || context.User.IsInRole(Scopes.Platform))
        {
            await next(context);
            return;
        }

        var isSignUp = context.Request.Path.Equals(SignUpPath, StringComparison.Ordinal);
        var (limiter, limit) = isSignUp ? (_signUps, signUps) : (_perKey, perKey);
        var caller = context.RequestServices.GetRequiredService<Caller>();
        if (limiter is null || (!isSignUp && caller.KeyId is null && !IsOpenDoor(context) && !HasFailed(context)))
        {
            await next(context);
            return;
        }

        var who = isSignUp || caller.KeyId is null ? $"address:{caller.Address}" : caller.KeyId;
        using var lease = limiter.AttemptAcquire(who);
        var left = limiter.GetStatistics(who)?.CurrentAvailablePermits ?? 0;
        var headers = context.Response.Headers;
        headers["RateLimit-Limit"] = Number(limit!.Permits);
        headers["RateLimit-Remaining"] = Number(left);
        headers["RateLimit-Reset"] = Number((long)Math.Ceiling((limit.Permits - left) * limit.Window.TotalSeconds / limit.Permits));
        if (lease.IsAcquired)
        {
            await next(context);
            return;
        }

        // One permit comes back after its share of the window.
        var wait = TimeSpan.FromSeconds(Math.Max(1, Math.Ceiling(limit.Window.TotalSeconds / limit.Permits)));
        await context.WriteProblemAsync(
            StatusCodes.Status429TooManyRequests,
            new Error(ErrorKind.RateLimited, "rate_limited", $"More than {limit.Permits} requests in {limit.Window.TotalSeconds:0} s.") { RetryAfter = wait });
    }

    public void Dispose()
    {
        _perKey?.Dispose();
        _signUps?.Dispose();
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>The seeds' doors that need no key.</summary>
    private static bool IsOpenDoor(HttpContext context) => context.GetEndpoint()?.Metadata.GetMetadata<OpenDoor>() is not null;

    /// <summary>A key that is none: whoever tries many is slowed down.</summary>
    private static bool HasFailed(HttpContext context) => context.Request.Headers.ContainsKey("x-api-key") || context.Request.Headers.ContainsKey("Authorization");

    private static PartitionedRateLimiter<string>? Buckets(RateLimit? limit) => limit is null
        ? null
        : PartitionedRateLimiter.Create<string, string>(who => RateLimitPartition.GetTokenBucketLimiter(who, _ => Options(limit)));

    private static TokenBucketRateLimiterOptions Options(RateLimit limit)
    {
        // A permit at a time where they come seldom, several where they come often: never more than ten times a second, and exactly the rate.
        var permits = (int)Math.Ceiling(limit.Permits * 0.1 / limit.Window.TotalSeconds);
        var period = limit.Window * permits / limit.Permits;
        return new() { TokenLimit = limit.Permits, TokensPerPeriod = permits, ReplenishmentPeriod = period, QueueLimit = 0, AutoReplenishment = true };
    }
}

internal static class RateLimitsInPipeline
{
    public static void UseRateLimits(this WebApplication app)
    {
        var limits = app.Services.GetRequiredService<RateLimits>();
        app.Use((context, next) => limits.InvokeAsync(context, c => next(c)));
    }
}
