/** The control plane is killed while it is at a Redis Cluster or at brokers: a few points by their names, for each costs many starts. */
import { sweep, wish } from './sweep.ts'
import { broker, brokers, sharded } from './subjects.ts'

sweep([[sharded, ['engine.met', 'engine.followed']], [broker, ['runtime.provided', 'runtime.launched']], [brokers, ['runtime.prepared']]], [
  wish('soft_restart', sharded, ['engine.paused', 'engine.promoted', 'runtime.stopped']), wish('flush', sharded, ['engine.flushed'], 'no'),
  wish('restart', sharded, ['runtime.signalled', 'runtime.launched']), wish('delete', sharded, ['runtime.removed'], 'instance gone'),
  wish('restart', broker, ['runtime.signalled', 'runtime.stopped']), wish('delete', broker, ['runtime.killed'], 'instance gone'),
  wish('restart', brokers, ['runtime.launched']), wish('soft_restart', brokers, ['runtime.signalled', 'runtime.launched']), wish('delete', brokers, ['runtime.removed'], 'instance gone'),
])
