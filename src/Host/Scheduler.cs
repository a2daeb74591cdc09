using Npgsql;
using Quartz;

namespace VoicePlatform.Host;

/// <summary>
/// Runs the modules' scheduled jobs with Quartz, its state in PostgreSQL (schema quartz), so that of many hosts one runs each job and a host that dies
/// is stood in for. Nothing but this file knows Quartz.
/// </summary>
internal static partial class Scheduler
{
    private const string Group = "voiceplatform";

    public static void AddScheduler(this IServiceCollection services)
    {
        services.AddQuartz(quartz =>
        {
            quartz.ConfigureScheduler(o => o.InstanceName = Group);
            quartz.UseDefaultThreadPool(4);
            quartz.UsePersistentStore(store =>
            {
                store.UsePostgres(o => o.DataSourceFactory = p => p.GetRequiredService<NpgsqlDataSource>());
                store.ConfigureStore(o =>
                {
                    o.TablePrefix = "quartz.";
                    o.StoreJobDataAsStrings = true;
                });
                store.UseClustering(_ => { });
            });
        });
        services.AddHostedService<ScheduleJobs>();
        services.AddQuartzHostedService(o => o.WaitForJobsToComplete = true);
    }

    /// <summary>
    /// Before the scheduler starts: brings what is stored to what the modules ask for. What is as it should be stays as it is, so that a start neither
    /// runs every job nor puts one off.
    /// </summary>
    private sealed class ScheduleJobs(ISchedulerFactory factory, IServiceScopeFactory scopes) : IHostedService
    {
        public async Task StartAsync(CancellationToken cancellationToken)
        {
            var scheduler = await factory.GetScheduler(cancellationToken);
            await using var scope = scopes.CreateAsyncScope();
            foreach (var job in scope.ServiceProvider.GetServices<IScheduledJob>())
            {
                var key = new TriggerKey(job.Name, Group);
                var schedule = $"{job.Schedule}";
                if ((await scheduler.GetTrigger(key, cancellationToken))?.Description == schedule)
                {
                    continue;
                }

                var detail = JobBuilder.Create<Runner>().WithIdentity(job.Name, Group).RequestRecovery(false).Build();
                var trigger = Trigger(job.Schedule).WithIdentity(key).WithDescription(schedule).ForJob(detail).StartNow().Build();
                await scheduler.ScheduleJob(detail, [trigger], new ScheduleJobOptions { Replace = true }, cancellationToken);
            }
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        private static TriggerBuilder<IJob> Trigger(Schedule schedule) => schedule switch
        {
            Schedule.Every every => TriggerBuilder.Create().WithSimpleSchedule(s => s.WithInterval(every.Interval).RepeatForever()),
            Schedule.DailyAt daily => TriggerBuilder.Create().WithCronSchedule($"0 {daily.Time.Minute} {daily.Time.Hour} * * ?", c => c.InTimeZone(TimeZoneInfo.Utc)),
            _ => throw new ArgumentOutOfRangeException(nameof(schedule), schedule, null),
        };
    }

    [DisallowConcurrentExecution]
    internal sealed partial class Runner(IServiceProvider services, ILogger<Runner> log) : IJob
    {
        public async ValueTask Execute(IJobExecutionContext context, CancellationToken cancellationToken = default)
        {
            // A job of a later version that this host does not know is left to the others.
            var name = context.JobDetail.Key.Name;
            if (services.GetServices<IScheduledJob>().SingleOrDefault(j => j.Name == name) is not { } job)
            {
                return;
            }

            try
            {
                await job.RunAsync(cancellationToken);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                Failed(log, name, e);
            }
        }

        [LoggerMessage(LogLevel.Error, "The scheduled job {Job} failed; it comes again")]
        private static partial void Failed(ILogger logger, string job, Exception exception);
    }
}
